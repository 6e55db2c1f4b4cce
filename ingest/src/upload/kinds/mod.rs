//! Which kinds of files are never taken, and when a file is plainly not what it is said to be.
//!
//! Never taken, whatever a pool allows: what an operating system or a browser would run. That is
//! judged by the name's extension ([`FORBIDDEN_EXTENSIONS`]), by the declared type
//! ([`FORBIDDEN_TYPES`]) and by the first [`HEAD_BYTES`] bytes: magic numbers of executables, `#!`,
//! `<?php`, and markup that browsers run (HTML, SVG, XHTML). What hides behind a lawful beginning,
//! such as a script appended to an image, is not found here: files are never served inline.
//!
//! A type is wrong when the beginning says so beyond doubt: another magic number than the type
//! must have, a recognised file of another family, or bytes that no text has.

mod markup;

use file_format::{FileFormat, Kind};
use schemas::name::{FileName, MediaType};

use super::Rejection;

/// How much of a file's beginning is looked at.
pub(crate) const HEAD_BYTES: usize = 4_096;

/// Extensions of programs, scripts, shortcuts to them, and pages.
const FORBIDDEN_EXTENSIONS: &[&str] = &[
    "apk", "app", "appimage", "bash", "bat", "chm", "cmd", "com", "cpl", "csh", "deb", "dll",
    "dmg", "elf", "exe", "hta", "htm", "html", "jar", "js", "jse", "ksh", "lnk", "mht", "mhtml",
    "mjs", "msi", "msp", "php", "phtml", "pif", "pkg", "ps1", "psm1", "reg", "rpm", "scr", "sh",
    "shtml", "so", "svg", "svgz", "swf", "url", "vbe", "vbs", "wasm", "wsf", "wsh", "xht", "xhtml",
    "zsh",
];

/// Media types of the same.
const FORBIDDEN_TYPES: &[&str] = &[
    "application/ecmascript",
    "application/hta",
    "application/java-archive",
    "application/java-vm",
    "application/javascript",
    "application/vnd.android.package-archive",
    "application/vnd.microsoft.portable-executable",
    "application/wasm",
    "application/x-bat",
    "application/x-csh",
    "application/x-dosexec",
    "application/x-elf",
    "application/x-executable",
    "application/x-httpd-php",
    "application/x-javascript",
    "application/x-mach-binary",
    "application/x-ms-shortcut",
    "application/x-msdos-program",
    "application/x-msdownload",
    "application/x-msi",
    "application/x-php",
    "application/x-pie-executable",
    "application/x-sh",
    "application/x-sharedlib",
    "application/x-shellscript",
    "application/x-shockwave-flash",
    "application/xhtml+xml",
    "image/svg+xml",
    "multipart/related",
    "text/ecmascript",
    "text/html",
    "text/javascript",
    "text/x-php",
    "text/x-sh",
    "text/x-shellscript",
];

/// Types whose bytes must begin as they do: the type, and what its beginning may be recognised as.
const RECOGNISED_AS: &[(&str, &[&str])] = &[
    ("application/gzip", &["application/gzip"]),
    ("application/pdf", &["application/pdf"]),
    ("application/x-gzip", &["application/gzip"]),
    ("application/zip", &["application/zip"]),
    ("image/bmp", &["image/bmp"]),
    ("image/gif", &["image/gif"]),
    ("image/jpeg", &["image/jpeg"]),
    ("image/png", &["image/png", "image/apng"]),
    ("image/webp", &["image/webp"]),
];

/// Whether the name or the declared type is that of something never taken.
pub(crate) fn judge_name(name: &FileName, declared: &MediaType) -> Result<(), Rejection> {
    let extension = extension(name);
    if FORBIDDEN_EXTENSIONS.contains(&extension.as_str()) {
        return Err(Rejection::Forbidden(format!("a file named .{extension}")));
    }
    if FORBIDDEN_TYPES.contains(&declared.as_str()) {
        return Err(Rejection::Forbidden(format!("a file declared as {declared}")));
    }
    Ok(())
}

/// What the last extension means to the systems that would run it: they overlook dots at the end,
/// and what follows a colon.
fn extension(name: &FileName) -> String {
    let text = name.as_str().trim_end_matches(['.', ' ']);
    let text = text.split(':').next().unwrap_or(text).trim_end_matches(['.', ' ']);
    text.rsplit_once('.').map(|(_, last)| last.to_ascii_lowercase()).unwrap_or_default()
}

/// Whether a file that begins with `head` is taken as `declared`.
pub(crate) fn judge_content(head: &[u8], declared: &MediaType) -> Result<(), Rejection> {
    let found = FileFormat::from_bytes(head);
    if let Some(what) = runs(head, found) {
        return Err(Rejection::Forbidden(format!("content that is {what}")));
    }
    if let Some(found) = differs(head, found, declared.as_str()) {
        return Err(Rejection::Mismatch { declared: declared.clone(), found });
    }
    Ok(())
}

/// What it is, if something would run it. Two-byte magic numbers do not count: one file of numbers
/// in 65,536 begins like that.
fn runs(head: &[u8], found: FileFormat) -> Option<&'static str> {
    match found {
        FileFormat::Appimage
        | FileFormat::DalvikExecutable
        | FileFormat::DynamicLinkLibrary
        | FileFormat::ExecutableAndLinkableFormat
        | FileFormat::JavaClass
        | FileFormat::LlvmBitcode
        | FileFormat::LuaBytecode
        | FileFormat::MachO
        | FileFormat::PortableExecutable
        | FileFormat::WebassemblyBinary => return Some("a program"),
        FileFormat::WindowsShortcut => return Some("a shortcut"),
        FileFormat::MicrosoftCompiledHtmlHelp => return Some("compiled help"),
        // Text may begin with these two letters; the header of a program has zero bytes.
        FileFormat::MsDosExecutable if head.iter().take(64).any(|byte| *byte == 0) => {
            return Some("a program");
        }
        _ => {}
    }
    if head.starts_with(b"#!") && head.get(2).is_some_and(|byte| b"/ \t".contains(byte)) {
        return Some("a script");
    }
    markup::runs(head)
}

/// What the content plainly is instead.
fn differs(head: &[u8], found: FileFormat, declared: &str) -> Option<String> {
    let told = || Some(found.media_type().to_owned());
    if let Some((_, allowed)) = RECOGNISED_AS.iter().find(|(declaring, _)| *declaring == declared) {
        return if allowed.contains(&found.media_type()) { None } else { told() };
    }
    if is_textual(declared) {
        if found == FileFormat::PortableDocumentFormat {
            return told();
        }
        return has_binary(head).then(|| "binary".to_owned());
    }
    let family: &[Kind] = match declared.split_once('/')?.0 {
        "image" => &[Kind::Image],
        // Containers carry either.
        "audio" | "video" => &[Kind::Audio, Kind::Video],
        "font" => &[Kind::Font],
        _ => return None,
    };
    // Of these families only: other kinds have short magic numbers that anything may begin with.
    let plain = [Kind::Image, Kind::Audio, Kind::Video, Kind::Font, Kind::Document];
    let kind = found.kind();
    let same = family.contains(&kind) || found.media_type() == declared;
    if same || !plain.contains(&kind) { None } else { told() }
}

fn is_textual(declared: &str) -> bool {
    declared.starts_with("text/")
        || declared.ends_with("+json")
        || declared.ends_with("+xml")
        || ["application/json", "application/xml", "application/x-ndjson", "application/csv"]
            .contains(&declared)
}

/// Whether there is a byte that no text has (WHATWG MIME Sniffing, "binary data byte"), unless a
/// byte order mark says that characters have two bytes or four.
fn has_binary(head: &[u8]) -> bool {
    let wide = head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff");
    let wide = wide || head.starts_with(b"\0\0\xfe\xff");
    let binary = |byte: &u8| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    !wide && head.iter().any(binary)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR";
    const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x10JFIF\0";
    const EXE: &[u8] = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0";

    fn told(rejection: Result<(), Rejection>) -> &'static str {
        match rejection {
            Ok(()) => "taken",
            Err(Rejection::Forbidden(_)) => "forbidden",
            Err(Rejection::Mismatch { .. }) => "mismatch",
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn names_and_declared_types() {
        let check = |name: &str, declared: &str, expected: &str| {
            let judged = judge_name(&name.parse().unwrap(), &declared.parse().unwrap());
            assert_eq!(told(judged), expected, "{name} {declared}");
        };
        check("a.jpg", "image/jpeg", "taken");
        check("readme", "text/plain", "taken");
        check(".hidden", "text/plain", "taken");
        check("a.exe.txt", "text/plain", "taken");
        check("html", "text/plain", "taken");
        for name in
            ["a.exe", "A.EXE", "a.jpg.exe", "a.exe.", "a.exe. .", "a.exe::$DATA", "a.php", "写.svg"]
        {
            check(name, "application/octet-stream", "forbidden");
        }
        for declared in ["text/html", "image/svg+xml", "application/javascript", "text/x-sh"] {
            check("a", declared, "forbidden");
        }
        assert!(FORBIDDEN_EXTENSIONS.is_sorted() && FORBIDDEN_TYPES.is_sorted());
    }

    #[test]
    fn contents_that_something_would_run() {
        let check = |head: &[u8], expected: &str| {
            let judged = judge_content(head, &MediaType::octet_stream());
            assert_eq!(told(judged), expected, "{}", String::from_utf8_lossy(head));
        };
        check(EXE, "forbidden");
        check(b"\x7fELF\x02\x01\x01", "forbidden");
        check(b"\xcf\xfa\xed\xfe\x07\0\0\x01\x03\0\0\0\x02\0\0\0", "forbidden");
        check(b"\xca\xfe\xba\xbe\0\0\0\x34", "forbidden");
        check(b"\0asm\x01\0\0\0", "forbidden");
        check(b"#!/bin/sh\necho", "forbidden");
        check(b"#! /usr/bin/env python3", "forbidden");
        check(b"<?php echo 1;", "forbidden");
        check(b"\n <HTML><body>", "forbidden");
        check(b"<?xml version='1.0'?><svg onload='x()'>", "forbidden");
        check(b"MZ,station,value\n1,2,3\n", "taken");
        check(b"#!numbers 1 2 3", "taken");
        check(b"\x4c\x01\x00\x07 some numbers", "taken");
        check(PNG, "taken");
        check(b"", "taken");
        check(b"plain", "taken");
    }

    #[test]
    fn contents_that_are_not_what_they_are_said_to_be() {
        let check = |declared: &str, head: &[u8], expected: &str| {
            let judged = judge_content(head, &declared.parse().unwrap());
            assert_eq!(told(judged), expected, "{declared} {head:?}");
        };
        check("image/png", PNG, "taken");
        check("image/png", JPEG, "mismatch");
        check("image/png", b"no magic", "mismatch");
        check("image/png", b"\x89PN", "mismatch");
        check("image/jpeg", b"\xff\xd8\xff", "taken");
        check("image/jpg", JPEG, "taken");
        check("image/x-sensor-raw", JPEG, "taken");
        check("image/x-sensor-raw", b"%PDF-1.7", "mismatch");
        check("image/x-sensor-raw", b"\x01\x02\x03", "taken");
        check("video/mp4", b"\0\0\0\x18ftypmp42", "taken");
        check("video/mp4", PNG, "mismatch");
        check("audio/mpeg", b"ID3\x03\0", "taken");
        check("application/pdf", b"%PDF-1.7", "taken");
        check("application/pdf", b"hello", "mismatch");
        check("application/zip", b"PK\x03\x04", "taken");
        check("application/zip", b"PK\x05\x06", "taken");
        check("application/vnd.oasis.opendocument.text", b"PK\x03\x04", "taken");
        check("application/vnd.apache.parquet", PNG, "taken");
        check("text/csv", b"a,b\r\n1,2\n", "taken");
        check("text/csv", b"\xef\xbb\xbfa,b", "taken");
        check("text/csv", b"\xff\xfea\0,\0b\0", "taken");
        check("text/csv", b"a\0,\0b\0", "mismatch");
        check("text/csv", b"BZh is a name,1", "taken");
        check("text/csv", JPEG, "mismatch");
        check("text/plain", b"%PDF-1.7", "mismatch");
        check("text/plain", b"\xe4\xf6\xfc latin", "taken");
        check("application/json", b"{\"a\":1}", "taken");
        check("application/json", b"\x1f\x8b\x08\0", "mismatch");
        check("application/geo+json", b"{}\x1b[0m", "taken");
    }
}
