//! Names given from outside: parsed once at the edge, bounded, never empty.

use std::fmt;
use std::str::FromStr;

use crate::text::as_text;

/// Longest file name, in bytes of UTF-8.
pub const FILE_NAME_BYTES_MAX: usize = 255;

/// Why a name was refused; the text says what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadName(&'static str);

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident($format:literal, $example:literal) if $check:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                $check(text).map(|()| Self(text.into()))
            }
        }

        as_text!($name, $format, $example);
    )*};
}

names! {
    /// A pool's name: `[a-z0-9-]{3,48}`. Never changed, never used again.
    PoolName("pool-name", "north-sea-buoys") if pool_name;
    /// An account's name: `[a-z0-9._-]{1,64}`. No `@`: an address would be a personal datum, and
    /// names stand in the log.
    UserName("user-name", "buoy-17") if user_name;
    /// A file's name as its client gave it: a label, never a path. At most 255 bytes of UTF-8.
    FileName("file-name", "reading-0930.csv") if file_name;
    /// A media type without parameters (RFC 6838), in lower case.
    MediaType("media-type", "image/jpeg") if media_type;
    /// What a pool calls one of its inspections: `[a-z0-9-]{1,40}`.
    InspectionName("inspection-name", "readings") if inspection_name;
    /// What a client calls one request, so that a retry is known as one: 1–128 visible ASCII
    /// characters. A UUIDv7 is the best choice: its age can be told.
    IdempotencyKey("idempotency-key", "0199f3a2-5c1e-7d53-b0a4-3d2f0c7f9a11") if visible_ascii;
    /// Where an object lies in the blob store: parts of `[A-Za-z0-9._-]` joined by `/`.
    ObjectKey("object-key", "u/0199f3a2/1") if object_key;
}

fn pool_name(text: &str) -> Result<(), BadName> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (3..=48).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(())
    } else {
        Err(BadName("a pool name has 3 to 48 characters of a-z, 0-9 and -"))
    }
}

fn inspection_name(text: &str) -> Result<(), BadName> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=40).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(())
    } else {
        Err(BadName("an inspection's name has 1 to 40 characters of a-z, 0-9 and -"))
    }
}

fn user_name(text: &str) -> Result<(), BadName> {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-')
    };
    if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(())
    } else {
        Err(BadName("a user name has 1 to 64 characters of a-z, 0-9, '.', '_' and -"))
    }
}

/// Characters that turn the reading direction or hide: a name with them shows as something else.
fn deceives(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn file_name(text: &str) -> Result<(), BadName> {
    if text.is_empty() || text.len() > FILE_NAME_BYTES_MAX {
        return Err(BadName("a file name has 1 to 255 bytes"));
    }
    let bad = |byte: u8| matches!(byte, b'/' | b'\\') || byte.is_ascii_control();
    let others = |c: char| c.is_control() || deceives(c);
    if text.bytes().any(bad) || (!text.is_ascii() && text.chars().any(others)) {
        return Err(BadName("a file name has no slashes, control or direction characters"));
    }
    if text.bytes().all(|byte| byte == b'.') || text.trim() != text {
        return Err(BadName("a file name is not only dots and has no blanks at its ends"));
    }
    Ok(())
}

fn media_type(text: &str) -> Result<(), BadName> {
    let token = |part: &str| {
        let allowed = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$&-^_.+".contains(&byte)
        };
        (1..=127).contains(&part.len()) && part.bytes().all(allowed)
    };
    match text.split_once('/') {
        Some((kind, subtype)) if token(kind) && token(subtype) => Ok(()),
        _ => Err(BadName("a media type is type/subtype in lower case, without parameters")),
    }
}

fn visible_ascii(text: &str) -> Result<(), BadName> {
    if (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(BadName("an idempotency key has 1 to 128 visible ASCII characters"))
    }
}

fn object_key(text: &str) -> Result<(), BadName> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    // One pass over the bytes: every record of a file has a key, twice as long as the rest.
    let (mut part_bytes, mut good) = (0, text.len() <= 200);
    for byte in text.bytes() {
        if byte == b'/' {
            good &= part_bytes > 0;
            part_bytes = 0;
        } else {
            good &= allowed(byte) && (part_bytes > 0 || byte != b'.');
            part_bytes += 1;
        }
    }
    if good && part_bytes > 0 {
        Ok(())
    } else {
        Err(BadName("an object key has parts of A-Z, a-z, 0-9, '.', '_' and - joined by /"))
    }
}

impl MediaType {
    /// What is sent when nothing better is known (RFC 2046).
    pub fn octet_stream() -> Self {
        Self("application/octet-stream".into())
    }

    /// The media type in a `Content-Type` header's value: parameters dropped, case folded.
    pub fn from_content_type(value: &str) -> Result<Self, BadName> {
        let essence = value.split(';').next().unwrap_or_default().trim();
        essence.to_ascii_lowercase().parse()
    }
}

impl FileName {
    /// What follows the last dot, in lower case; empty when there is none.
    pub fn extension(&self) -> String {
        self.0.rsplit_once('.').map(|(_, last)| last.to_ascii_lowercase()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: FromStr<Err = BadName>>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(text.parse::<T>().is_ok(), "{text:?} is good");
        }
        for text in bad {
            assert!(text.parse::<T>().is_err(), "{text:?} is bad");
        }
    }

    #[test]
    fn pool_names() {
        check::<PoolName>(
            &["abc", "a-2", "0-0", &"x".repeat(48)],
            &["", "ab", "Abc", "a_b", "a.b", "a b", "äbc", &"x".repeat(49)],
        );
    }

    #[test]
    fn user_names() {
        check::<UserName>(&["a", "buoy-17", "x.y_z"], &["", "A", "a@b", "a b", &"x".repeat(65)]);
    }

    #[test]
    fn file_names() {
        check::<FileName>(
            &[
                "a",
                "a.jpg",
                ".hidden",
                "a b",
                "写真.png",
                "=cmd()",
                "a.php%00.jpg",
                &"x".repeat(255),
            ],
            &[
                "",
                ".",
                "..",
                "../a",
                "a/b",
                "a\\b",
                "a\0b",
                "a\r\nb",
                " a",
                "a ",
                "\u{202e}gpj.exe",
                &"x".repeat(256),
                "...",
            ],
        );
        assert_eq!("a.tar.GZ".parse::<FileName>().unwrap().extension(), "gz");
        assert_eq!("none".parse::<FileName>().unwrap().extension(), "");
    }

    #[test]
    fn media_types() {
        check::<MediaType>(
            &["image/jpeg", "a/b+c"],
            &["", "image", "image/", "/x", "a/b/c", "A/b"],
        );
        let parsed = MediaType::from_content_type("Text/CSV; charset=utf-8").unwrap();
        assert_eq!(parsed.as_str(), "text/csv");
    }

    #[test]
    fn keys() {
        check::<IdempotencyKey>(&["1", "a:b/c"], &["", "a b", "ä", &"x".repeat(129)]);
        check::<ObjectKey>(&["a", "u/1/2.x"], &["", "/a", "a/", "a//b", "../a", "a/.b", "a b"]);
    }
}
