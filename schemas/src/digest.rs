//! SHA-256 digests (FIPS 180-4), as 64 hexadecimal digits in text.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::text::as_text;

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// The text was not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 digest: 64 hexadecimal digits are expected")]
pub struct NotADigest;

impl Digest {
    /// The digest with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 32 bytes.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 digits, two for each byte.
    pub fn digits(&self) -> [[u8; 2]; 32] {
        self.0.map(|byte| look_up(&HEX, byte))
    }
}

/// The digits, in pairs beside each other for each byte: events carry many digests.
#[allow(clippy::indexing_slicing, reason = "worked out by the compiler, which looks")]
static HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
};

/// What each digit is worth; 255 for what is none.
#[allow(clippy::indexing_slicing, reason = "worked out by the compiler, which looks")]
static WORTH: [u8; 256] = {
    let mut worth = [255; 256];
    let mut value = 0;
    while value < 16 {
        let digit = b"0123456789abcdef"[value as usize];
        worth[digit as usize] = value;
        worth[digit.to_ascii_uppercase() as usize] = value;
        value += 1;
    }
    worth
};

/// Of a table that has something for every byte.
fn look_up<T: Copy + Default>(table: &[T; 256], byte: u8) -> T {
    table.get(usize::from(byte)).copied().unwrap_or_default()
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(self.digits().as_flattened()).unwrap_or_default())
    }
}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(NotADigest) };
        if pairs.len() != 32 {
            return Err(NotADigest);
        }
        let (mut bytes, mut all) = ([0; 32], 0);
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let [high, low] = pair.map(|digit| look_up(&WORTH, digit));
            all |= high | low;
            *byte = high << 4 | low & 15;
        }
        // A digit that is none has bits that no other has.
        if all < 16 { Ok(Self(bytes)) } else { Err(NotADigest) }
    }
}

as_text!(Digest, "sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let empty = Digest::of(b"");
        let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(empty.to_string(), text);
        assert_eq!(text.parse(), Ok(empty));
        assert_eq!(text.to_uppercase().parse(), Ok(empty));
        let all: [u8; 32] = std::array::from_fn(|index| u8::try_from(index * 8 + 5).unwrap());
        let all = Digest::from_bytes(all);
        assert_eq!(all.to_string().parse(), Ok(all));
        for bad in ["", "e3", &text[1..], &text.replace('e', "g"), &format!("{text}00")] {
            assert_eq!(bad.parse::<Digest>(), Err(NotADigest), "{bad}");
        }
    }
}
