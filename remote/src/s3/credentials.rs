//! Whose requests they are: a key and its secret, from options or from a file.
//!
//! The file is as Amazon's tools have it: `name = value` a line, of which `aws_access_key_id`,
//! `aws_secret_access_key` and `aws_session_token` of the section `[default]`, or those in front of
//! any section, are read. It is read again when the server refuses, so that it can be replaced while
//! the store is open.

use crate::fault::{Fault, Kind, Result};
use crate::settings::Settings;
use rusty_s3::Credentials;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// The credentials of a store; none: requests are not signed.
#[derive(Debug)]
pub struct Signer {
    now: RwLock<Option<Arc<Credentials>>>,
    file: Option<PathBuf>,
}

impl Signer {
    /// As `settings` say.
    ///
    /// # Errors
    /// `InvalidArgument` for a file that cannot be used.
    pub fn new(settings: &Settings) -> Result<Self> {
        let now = match (&settings.access_key, &settings.secret_key, &settings.credentials_file) {
            (Some(key), Some(secret), _) => Some(made(
                key,
                secret.reveal(),
                settings.session_token.as_ref().map(|token| token.reveal()),
            )),
            (_, _, Some(file)) => Some(read(file)?),
            _ => None,
        };
        let now = RwLock::new(now.map(Arc::new));
        Ok(Self { now, file: settings.credentials_file.clone() })
    }

    /// Those of now.
    pub fn now(&self) -> Option<Arc<Credentials>> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the file again; true if there are other credentials now.
    pub fn renew(&self) -> bool {
        let Some(Ok(new)) = self.file.as_deref().map(read) else { return false };
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        let parts = |c: &Credentials| {
            (c.key().to_owned(), c.secret().to_owned(), c.token().map(str::to_owned))
        };
        let differs = now.as_deref().is_none_or(|now| parts(now) != parts(&new));
        *now = Some(Arc::new(new));
        differs
    }
}

fn made(key: &str, secret: &str, token: Option<&str>) -> Credentials {
    match token {
        Some(token) => Credentials::new_with_token(key, secret, token),
        None => Credentials::new(key, secret),
    }
}

fn read(file: &Path) -> Result<Credentials> {
    let bad = |why: &str| {
        let words = format!("remote.credentials_file {}: {why}", file.display());
        Fault::new(Kind::InvalidArgument, words)
    };
    let text = std::fs::read_to_string(file).map_err(|error| bad(&error.to_string()))?;
    let [key, secret, token] = parts(&text);
    let is_missing = "needs aws_access_key_id and aws_secret_access_key";
    match (key, secret) {
        (Some(key), Some(secret)) => Ok(made(key, secret, token)),
        _ => Err(bad(is_missing)),
    }
}

/// Key, secret and token.
fn parts(text: &str) -> [Option<&str>; 3] {
    let names = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"];
    let mut found = [None; 3];
    let mut is_ours = true;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            is_ours = section.trim_end_matches(']').trim() == "default";
        } else if let (true, Some((name, value))) = (is_ours, line.split_once('=')) {
            for (at, known) in names.iter().enumerate() {
                if name.trim() == *known {
                    found[at] = Some(value.trim());
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_amazons_tools_do() {
        let text = "# mine\n[other]\naws_access_key_id = x\n[default]\naws_access_key_id=a\n\
                    aws_secret_access_key = s=/+\n";
        assert_eq!(parts(text), [Some("a"), Some("s=/+"), None]);
        let bare = "aws_access_key_id=a\naws_secret_access_key=b\naws_session_token=c";
        assert_eq!(parts(bare), [Some("a"), Some("b"), Some("c")]);
        assert_eq!(parts("nothing"), [None; 3]);
    }

    #[test]
    fn a_file_is_read_again_when_it_was_replaced() {
        let file = std::env::temp_dir().join(format!("hotcold-credentials-{}", std::process::id()));
        let write = |secret: &str| {
            let text = format!("aws_access_key_id=a\naws_secret_access_key={secret}\n");
            std::fs::write(&file, text).unwrap();
        };
        write("one");
        let pairs = [("remote.credentials_file", file.to_str().unwrap())];
        let signer = Signer::new(&Settings::parse(pairs, true).unwrap()).unwrap();
        assert!(!signer.renew());
        write("two");
        assert!(signer.renew() && !signer.renew());
        assert_eq!(signer.now().unwrap().secret(), "two");
        std::fs::remove_file(&file).unwrap();
        assert!(!signer.renew());
    }
}
