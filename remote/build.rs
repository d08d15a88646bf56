//! Names the shared library.

use std::env::var;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    // While 0.x every minor version may break the ABI, so it is part of the name.
    let (major, minor) = (var("CARGO_PKG_VERSION_MAJOR")?, var("CARGO_PKG_VERSION_MINOR")?);
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libhotcold-remote.so.{major}.{minor}");
    Ok(())
}
