//! `src/ffi/abi.rs` and `hotcold.h` mean the same, and `hotcold_remote.h` is for C and C++.

#![expect(clippy::unwrap_used, reason = "tests may fail")]

use hotcold_remote::ffi::abi::{
    hotcold_backend_t, hotcold_change_t, hotcold_error_t, hotcold_host_t,
};
use std::fmt::Write;
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compiles C or C++ with both headers; the program.
fn compiled(name: &str, compiler: &str, flags: &[&str], text: &str) -> PathBuf {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let source = out.with_extension("c");
    std::fs::write(&source, text).unwrap();
    let mut command = Command::new(compiler);
    command.args(flags).args(["-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
    command.arg(format!("-I{}", folder().join("include").display()));
    command.arg(format!("-I{}", folder().join("../include").display()));
    let status = command.arg(&source).arg("-o").arg(&out).status().unwrap();
    assert!(status.success(), "{compiler} {flags:?}");
    out
}

#[test]
fn types_are_laid_out_as_the_header_says() {
    let mut program =
        String::from("#include <stdio.h>\n#include <hotcold_remote.h>\nint main(void) {\n");
    let mut expected = String::new();
    let mut size = |name: &str, size: usize| {
        writeln!(program, "printf(\"{name} %zu\\n\", sizeof({name}));").unwrap();
        writeln!(expected, "{name} {size}").unwrap();
    };
    size("hotcold_error_t", size_of::<hotcold_error_t>());
    size("hotcold_change_t", size_of::<hotcold_change_t>());
    size("hotcold_backend_t", size_of::<hotcold_backend_t>());
    size("hotcold_host_t", size_of::<hotcold_host_t>());
    let mut field = |of: &str, name: &str, at: usize| {
        writeln!(program, "printf(\"{of} {name} %zu\\n\", offsetof({of}, {name}));").unwrap();
        writeln!(expected, "{of} {name} {at}").unwrap();
    };
    field("hotcold_error_t", "os_code", offset_of!(hotcold_error_t, os_code));
    field("hotcold_error_t", "message", offset_of!(hotcold_error_t, message));
    let change = "hotcold_change_t";
    field(change, "key", offset_of!(hotcold_change_t, key));
    field(change, "key_len", offset_of!(hotcold_change_t, key_len));
    field(change, "data", offset_of!(hotcold_change_t, data));
    field(change, "len", offset_of!(hotcold_change_t, len));
    field(change, "version", offset_of!(hotcold_change_t, version));
    field(change, "expires_at", offset_of!(hotcold_change_t, expires_at));
    field(change, "if_version", offset_of!(hotcold_change_t, if_version));
    let backend = "hotcold_backend_t";
    field(backend, "capabilities", offset_of!(hotcold_backend_t, capabilities));
    field(backend, "get", offset_of!(hotcold_backend_t, get));
    field(backend, "put", offset_of!(hotcold_backend_t, put));
    field(backend, "remove", offset_of!(hotcold_backend_t, remove));
    field(backend, "list", offset_of!(hotcold_backend_t, list));
    field(backend, "clear", offset_of!(hotcold_backend_t, clear));
    field(backend, "versions", offset_of!(hotcold_backend_t, versions));
    field(backend, "write", offset_of!(hotcold_backend_t, write));
    field(backend, "watch", offset_of!(hotcold_backend_t, watch));
    field(backend, "sync", offset_of!(hotcold_backend_t, sync));
    field(backend, "part", offset_of!(hotcold_backend_t, part));
    field(backend, "compact", offset_of!(hotcold_backend_t, compact));
    let host = "hotcold_host_t";
    field(host, "record_set", offset_of!(hotcold_host_t, record_set));
    field(host, "record_same", offset_of!(hotcold_host_t, record_same));
    field(host, "page_add", offset_of!(hotcold_host_t, page_add));
    field(host, "page_next", offset_of!(hotcold_host_t, page_next));
    field(host, "watch_key", offset_of!(hotcold_host_t, watch_key));
    field(host, "watch_all", offset_of!(hotcold_host_t, watch_all));
    field(host, "watch_alive", offset_of!(hotcold_host_t, watch_alive));
    field(host, "watch_parts", offset_of!(hotcold_host_t, watch_parts));
    field(host, "backend_fail", offset_of!(hotcold_host_t, backend_fail));
    field(host, "backend_count", offset_of!(hotcold_host_t, backend_count));
    program.push_str("return 0; }\n");
    let program = compiled("layout", "cc", &["-std=c99"], &program);
    let said = Command::new(program).output().unwrap().stdout;
    assert_eq!(String::from_utf8(said).unwrap(), expected);
}

#[test]
fn numbers_are_those_of_the_header() {
    use hotcold_remote::engine as e;
    use hotcold_remote::fault::{Kind, status};
    let numbers: [(&str, i64); 26] = [
        ("BACKEND_CAS", e::CAS.cast_signed()),
        ("BACKEND_TTL", e::TTL.cast_signed()),
        ("BACKEND_LIST_ORDERED", e::LIST_ORDERED.cast_signed()),
        ("BACKEND_WATCH", e::WATCH.cast_signed()),
        ("BACKEND_CLEAR", e::CLEAR.cast_signed()),
        ("BACKEND_BATCH", e::BATCH.cast_signed()),
        ("BACKEND_DURABLE", e::DURABLE.cast_signed()),
        ("BACKEND_LIST_REPEATS", e::LIST_REPEATS.cast_signed()),
        ("BACKEND_RETRIES", 1),
        ("LINK_NONE", e::LINK_NONE.into()),
        ("LINK_ALL", e::LINK_ALL.into()),
        ("OK", status::OK.into()),
        ("NOT_FOUND", status::NOT_FOUND.into()),
        ("CONFLICT", status::CONFLICT.into()),
        ("END", status::END.into()),
        ("INVALID_ARGUMENT", Kind::InvalidArgument as i64),
        ("MISUSE", Kind::Misuse as i64),
        ("IO", Kind::Io as i64),
        ("CORRUPT", Kind::Corrupt as i64),
        ("NO_SPACE", Kind::NoSpace as i64),
        ("TOO_LARGE", Kind::TooLarge as i64),
        ("UNSUPPORTED", Kind::Unsupported as i64),
        ("OUT_OF_MEMORY", Kind::OutOfMemory as i64),
        ("INTERNAL", Kind::Internal as i64),
        ("TIMEOUT", Kind::Timeout as i64),
        ("UNAVAILABLE", Kind::Unavailable as i64),
    ];
    let mut text = String::from("#include <hotcold_remote.h>\n");
    for (name, number) in numbers {
        writeln!(text, "typedef char is_{name}[HOTCOLD_{name} == {number} ? 1 : -1];").unwrap();
    }
    text.push_str("int main(void) { return 0; }\n");
    compiled("numbers", "cc", &["-std=c99"], &text);
}

#[test]
fn the_header_is_for_c_and_c_plus_plus() {
    let text = "#include <hotcold_remote.h>\nint main() { return 0; }\n";
    for standard in ["c99", "c11", "c17"] {
        compiled(
            "in-c",
            "cc",
            &["-xc", &format!("-std={standard}"), "-Wno-strict-prototypes"],
            text,
        );
    }
    for standard in ["c++11", "c++20"] {
        compiled("in-cxx", "c++", &["-xc++", &format!("-std={standard}")], text);
    }
}
