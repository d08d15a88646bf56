//! Whom TLS trusts: the authorities of `remote.ca_file`, or else the usual ones.

use crate::fault::{Fault, Kind, Result};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// The certificates of a file.
///
/// # Errors
/// `InvalidArgument` if it cannot be read or has none.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let bad = |why: &str| {
        let words = format!("remote.ca_file {}: {why}", file.display());
        Fault::new(Kind::InvalidArgument, words)
    };
    let bytes = std::fs::read(file).map_err(|error| bad(&error.to_string()))?;
    let found: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|_| bad("is not PEM"))?;
    if found.is_empty() { Err(bad("has no certificate in it")) } else { Ok(found) }
}

/// What a connection needs.
///
/// # Errors
/// `InvalidArgument` for a ca_file that cannot be used, `Internal`.
pub fn config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(file) => {
            let (added, _) = roots.add_parsable_certificates(certificates(file)?);
            if added == 0 {
                let words = format!("remote.ca_file {}: no authority in it", file.display());
                return Err(Fault::new(Kind::InvalidArgument, words));
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::new(Kind::Internal, format!("TLS: {error}")))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
