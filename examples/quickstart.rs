//! The shortest whole program: cargo run --example quickstart

use hotcold::{Options, Store};
use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args_os().nth(1).unwrap_or_else(|| "quickstart.store".into());
    let store = Store::open(directory, &Options::new())?;
    store.store("greeting", "hello, world\n")?;
    if let Some(value) = store.retrieve("greeting")? {
        std::io::stdout().write_all(&value)?;
    }
    store.close()?;
    Ok(())
}
