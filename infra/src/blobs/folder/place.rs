//! Where things lie in the folder: names only, nothing is touched.
//!
//! ```text
//! <root>/b0/u,0199f3a2,1                   the object u/0199f3a2/1
//! <root>/b0/.put-<random>                  an object on its way
//! <root>/b0/.parts,<token>,u,0199f3a2,1/   the same object, being put in parts
//!           1-<tag>  2-<tag>               its parts
//! ```
//! No part of a key begins with a dot or has a comma, so no two of these can clash.

use std::path::{Path, PathBuf};

use schemas::name::ObjectKey;

use crate::blobs::{Multipart, Part};
use crate::fresh;

/// Folders that the objects are spread over.
const FANS: u32 = 256;

const PARTS: &str = ".parts,";

/// The folders that the objects are spread over.
pub(super) fn fans(root: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let root = root.to_owned();
    (0..FANS).map(move |fan| root.join(format!("{fan:02x}")))
}

/// The folder of a key: FNV-1a over it, which must never change.
pub(super) fn fan(root: &Path, key: &ObjectKey) -> PathBuf {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = key.as_str().bytes().fold(0x811c_9dc5, step);
    root.join(format!("{:02x}", hash % FANS))
}

/// The file of an object, within its fan folder.
pub(super) fn object_name(key: &ObjectKey) -> String {
    key.as_str().replace('/', ",")
}

/// The object of a file; `None` when it is something else.
pub(super) fn object_key(name: &str) -> Option<ObjectKey> {
    name.replace(',', "/").parse().ok()
}

/// A name for something on its way: left behind by a crash, it is removed at the next start.
pub(super) fn unfinished_name() -> String {
    format!(".put-{:032x}", u128::from_be_bytes(fresh::bytes()))
}

/// A token for an object put in parts.
pub(super) fn token() -> String {
    format!("{:032x}", u128::from_be_bytes(fresh::bytes()))
}

/// The folder of an object put in parts, within its fan folder. `None` when the token is none of
/// ours: it comes from outside and becomes part of a path.
pub(super) fn parts_name(of: &Multipart) -> Option<String> {
    let ours = of.token.len() == 32 && of.token.bytes().all(|byte| byte.is_ascii_hexdigit());
    ours.then(|| format!("{PARTS}{},{}", of.token, object_name(&of.key)))
}

/// The object put in parts whose folder this is; `None` when it is something else.
pub(super) fn parts_of(name: &str) -> Option<Multipart> {
    let (token, object) = name.strip_prefix(PARTS)?.split_once(',')?;
    Some(Multipart { key: object_key(object)?, token: token.to_owned() })
}

/// The file of a part, within its folder of parts; `None` when its tag is none of ours.
pub(super) fn part_name(part: &Part) -> Option<String> {
    let ours = part.tag.bytes().all(|byte| byte.is_ascii_hexdigit());
    ours.then(|| format!("{}-{}", part.number, part.tag))
}

/// Whether the name is of something that was on its way.
pub(super) fn is_unfinished(name: &str) -> bool {
    name.starts_with('.') && !name.starts_with(PARTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_back() {
        let key: ObjectKey = "u/0199f3a2/1.x".parse().unwrap();
        assert_eq!(object_name(&key), "u,0199f3a2,1.x");
        assert_eq!(object_key("u,0199f3a2,1.x"), Some(key.clone()));
        assert_eq!(object_key(".put-1"), None);
        let upload = Multipart { key, token: token() };
        let name = parts_name(&upload).unwrap();
        assert_eq!(parts_of(&name), Some(upload.clone()));
        assert!(!is_unfinished(&name) && is_unfinished(&unfinished_name()));
        assert!(!is_unfinished(&object_name(&upload.key)));
        let longest = [
            "x".repeat(199).parse().unwrap(),
            "a/".repeat(99).trim_end_matches('/').parse().unwrap(),
        ];
        for key in longest {
            let name = parts_name(&Multipart { key, token: token() }).unwrap();
            assert!(name.len() + ".lost,".len() < 255, "{} bytes", name.len());
        }
    }

    #[test]
    fn nothing_from_outside_leaves_the_folder() {
        let key: ObjectKey = "a".parse().unwrap();
        for token in ["", "../../etc", &"../".repeat(11)[..32], &"a".repeat(33)] {
            assert_eq!(parts_name(&Multipart { key: key.clone(), token: token.into() }), None);
        }
        let part = Part { number: 1, tag: "../x".into(), size_bytes: 1 };
        assert_eq!(part_name(&part), None);
    }

    #[test]
    fn a_keys_folder_never_changes_and_keys_are_spread() {
        let fan = |key: &str| fan(Path::new(""), &key.parse().unwrap());
        // Computed with Python.
        assert_eq!(fan("u/0199f3a2/1"), Path::new("b0"));
        let used: std::collections::BTreeSet<_> =
            (0..2_000).map(|n| fan(&format!("u/{n}/1"))).collect();
        assert!(used.len() > 250, "{}", used.len());
        assert!(fans(Path::new("")).any(|path| used.contains(&path)));
    }
}
