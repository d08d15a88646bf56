//! Generates `include/hotcold.h` from `src/ffi/`, and names the shared library.

use std::env::var;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(var("CARGO_MANIFEST_DIR")?);
    for input in ["build.rs", "cbindgen.toml", "src/ffi", "include/hotcold.h"] {
        println!("cargo:rerun-if-changed={input}");
    }
    // While 0.x every minor version may break the ABI, so it is part of the name.
    let (major, minor) = (var("CARGO_PKG_VERSION_MAJOR")?, var("CARGO_PKG_VERSION_MINOR")?);
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libhotcold.so.{major}.{minor}");

    let header = header(&root)?;
    let path = root.join("include/hotcold.h");
    // Written only when it differs, so that nothing that includes it is built anew for nothing. A
    // source tree that cannot be written keeps the header that it has; a test compares the two.
    if fs::read(&path).unwrap_or_default() != header.as_bytes() {
        let _read_only = fs::create_dir_all(root.join("include"));
        if let Err(error) = fs::write(&path, header) {
            println!("cargo:warning=include/hotcold.h is not up to date: {error}");
        }
    }
    Ok(())
}

fn header(root: &Path) -> Result<String, Box<dyn Error>> {
    let mut config = cbindgen::Config::from_file(root.join("cbindgen.toml"))?;
    config.after_includes = Some(version()?);
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in modules(&root.join("src/ffi"))? {
        builder = builder.with_src(file);
    }
    let mut bytes = Vec::new();
    builder.generate()?.write(&mut bytes);
    Ok(tags(&String::from_utf8(bytes)?))
}

/// The files of a folder in the order of its `mod` lines: that of the header.
fn modules(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let lines = fs::read_to_string(folder.join("mod.rs"))?;
    let lines = lines.lines().map(|line| line.trim_start_matches("pub "));
    let names = lines.filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    let names = names.filter(|name| *name != "tests");
    Ok(names.map(|name| folder.join(name).with_extension("rs")).collect())
}

/// The version, for the preprocessor and, in a copy without directives, for other languages.
fn version() -> Result<String, Box<dyn Error>> {
    let part = |name: &str| -> Result<u32, Box<dyn Error>> {
        Ok(var(format!("CARGO_PKG_VERSION_{name}"))?.parse()?)
    };
    let (major, minor, patch) = (part("MAJOR")?, part("MINOR")?, part("PATCH")?);
    let constants = [
        ("HOTCOLD_VERSION_MAJOR", major),
        ("HOTCOLD_VERSION_MINOR", minor),
        ("HOTCOLD_VERSION_PATCH", patch),
        ("HOTCOLD_VERSION", major << 16 | minor << 8 | patch),
    ];
    let enumerators = constants.map(|(name, value)| format!("  {name} = {value},\n")).concat();
    let macros = constants.map(|(name, value)| format!("#define {name} {value}\n")).concat();
    Ok(format!(
        "\n/**\n * The version of this header: major << 16 | minor << 8 | patch, and its parts.\n \
         * Enumerators for what reads the header without its directives, macros for #if.\n */\n\
         enum hotcold_header_version {{\n{enumerators}}};\n{}",
        macros.trim_end()
    ))
}

/// Makes tags what C programs are used to: `typedef struct hotcold_x {...} hotcold_x_t`, functions
/// that name the `hotcold_x_t`, and enums without a typedef, because they go in and out as numbers
/// of a fixed size.
fn tags(header: &str) -> String {
    let lines = header.lines().map(|line| {
        if let Some((tag, rest)) = struct_tag(line) {
            // Where a function has the tag's name, C++ warns that one hides the other.
            let tag = if header.contains(&format!(" {tag}(")) { format!("{tag}_t") } else { tag };
            let line = format!("typedef struct {tag} {rest}\n");
            // In C++ `hotcold` is the namespace of hotcold.hpp, and cannot be a tag, too.
            if tag == "hotcold" {
                unlike_cpp("typedef struct hotcold_t hotcold_t;\n", &line)
            } else {
                line
            }
        } else if line.starts_with("typedef enum ") {
            format!("{}\n", line.trim_start_matches("typedef "))
        } else if line.starts_with("} hotcold_") && !line.ends_with("_t;") {
            "};\n".to_owned()
        } else {
            format!("{}\n", line.replace("struct hotcold_", "hotcold_"))
        }
    });
    lines.collect()
}

/// A line for C++ and another for C.
fn unlike_cpp(cpp: &str, c: &str) -> String {
    format!("#ifdef __cplusplus\n{cpp}#else\n{c}#endif\n")
}

/// `typedef struct hotcold_x_t rest` as `hotcold_x` and `rest`.
fn struct_tag(line: &str) -> Option<(String, &str)> {
    let (name, rest) = line.strip_prefix("typedef struct ")?.split_once(' ')?;
    Some((name.strip_suffix("_t")?.to_owned(), rest))
}
