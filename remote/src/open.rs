//! An engine from a path and options.

use crate::address::Address;
use crate::engine::Engine;
use crate::fault::Result;
use crate::redis::store::RedisStore;
use crate::s3::store::S3Store;
use crate::settings::Settings;

/// Opens the engine that `url` names, with names and values of options.
///
/// # Errors
/// `InvalidArgument` for the path and the options; what opening meets.
pub fn open(url: &str, options: &[(&str, &str)]) -> Result<(Box<dyn Engine>, Settings)> {
    let address = Address::parse(url)?;
    let is_s3 = matches!(address, Address::S3 { .. });
    let settings = Settings::parse(options.iter().copied(), is_s3)?;
    let engine: Box<dyn Engine> = match address {
        Address::Redis { nodes, is_cluster, is_tls, name } => {
            Box::new(RedisStore::open(nodes, is_cluster, is_tls, &name, settings.clone())?)
        }
        Address::S3 { bucket, prefix } => Box::new(S3Store::open(&bucket, &prefix, &settings)?),
    };
    Ok((engine, settings))
}
