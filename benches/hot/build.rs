//! Where the libraries are: `HOTCOLD_LIBRARY_DIR` has libhotcold.so, `benches/run` sets it.

fn main() {
    println!("cargo:rerun-if-env-changed=HOTCOLD_LIBRARY_DIR");
    if let Ok(dir) = std::env::var("HOTCOLD_LIBRARY_DIR") {
        println!("cargo:rustc-link-search=native={dir}");
        println!("cargo:rustc-link-arg=-Wl,-rpath,{dir}");
    }
}
