//! Why a file is not taken, whether it came alone or in an update.

use schemas::digest::Digest;
use schemas::name::{BadName, FileName, MediaType};
use schemas::policy::Files;
use schemas::problem::Code;

use super::kinds;

/// Why a file is not taken. Its text is for the sender.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It has no bytes.
    #[error("the file is empty")]
    Empty,
    /// It is larger than the pool allows.
    #[error("more than {size_bytes_max} bytes")]
    TooLarge {
        /// What is allowed.
        size_bytes_max: u64,
    },
    /// Its name cannot be used.
    #[error("{0}")]
    Name(#[from] BadName),
    /// What is declared as its type is none of a file.
    #[error("{0}")]
    NoType(String),
    /// Nothing of its kind is taken anywhere.
    #[error("{0} is never taken")]
    Forbidden(String),
    /// The pool takes other types only.
    #[error("{declared} is not taken; this pool takes {taken}")]
    NotTaken {
        /// As declared.
        declared: MediaType,
        /// What the pool takes.
        taken: String,
    },
    /// It is plainly something else than declared.
    #[error("declared as {declared}, but the content is {found}")]
    Mismatch {
        /// As declared.
        declared: MediaType,
        /// What it is.
        found: String,
    },
    /// Its bytes have another digest than declared.
    #[error("the SHA-256 is {found}, {declared} was declared")]
    Digest {
        /// As declared.
        declared: Digest,
        /// What it is.
        found: Digest,
    },
    /// It is not as long as declared.
    #[error("{declared_bytes} bytes were declared, {got_bytes} came")]
    Length {
        /// As declared.
        declared_bytes: u64,
        /// As it was, or was when it became more.
        got_bytes: u64,
    },
}

impl Rejection {
    /// The code it is refused with.
    pub fn code(&self) -> Code {
        match self {
            Self::Empty => Code::EmptyFile,
            Self::TooLarge { .. } => Code::FileTooLarge,
            Self::Name(_) => Code::InvalidFileName,
            Self::NoType(_) => Code::UnsupportedMediaType,
            Self::Forbidden(_) | Self::NotTaken { .. } => Code::ForbiddenFileType,
            Self::Mismatch { .. } => Code::TypeMismatch,
            Self::Digest { .. } => Code::DigestMismatch,
            Self::Length { .. } => Code::LengthMismatch,
        }
    }
}

/// What a file is said to be, before its first byte has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Declared {
    /// What its sender calls it.
    pub(crate) name: FileName,
    /// What its bytes are.
    pub(crate) media_type: MediaType,
    /// Its length.
    pub(crate) size_bytes: Option<u64>,
    /// Its digest.
    pub(crate) sha256: Option<Digest>,
}

impl Declared {
    /// Judges by what is declared alone. Results of workers are held to no pool's list of types.
    pub(crate) fn judge(
        &self,
        size_bytes_max: u64,
        files: Option<&Files>,
    ) -> Result<(), Rejection> {
        match self.size_bytes {
            Some(0) => return Err(Rejection::Empty),
            Some(size_bytes) if size_bytes > size_bytes_max => {
                return Err(Rejection::TooLarge { size_bytes_max });
            }
            _ => {}
        }
        kinds::judge_name(&self.name, &self.media_type)?;
        let taken = files.map(|files| &*files.media_types).unwrap_or_default();
        if taken.is_empty() || taken.contains(&self.media_type) {
            return Ok(());
        }
        let names: Vec<&str> = taken.iter().map(MediaType::as_str).collect();
        let (declared, taken) = (self.media_type.clone(), names.join(", "));
        Err(Rejection::NotTaken { declared, taken })
    }

    /// Judges by the digest of what came.
    pub(crate) fn judge_digest(&self, found: Digest) -> Result<(), Rejection> {
        match self.sha256 {
            Some(declared) if declared != found => Err(Rejection::Digest { declared, found }),
            _ => Ok(()),
        }
    }
}

/// The type of a file as a `Content-Type` declares it. The types of forms are refused: they say
/// that the sender wrapped the file instead of sending it.
pub(crate) fn file_type(content_type: &str) -> Result<MediaType, Rejection> {
    let parsed = MediaType::from_content_type(content_type);
    let media_type = parsed.map_err(|error| Rejection::NoType(error.to_string()))?;
    let wraps = media_type.as_str().starts_with("multipart/")
        || media_type.as_str() == "application/x-www-form-urlencoded";
    if wraps {
        let detail = format!("{media_type} is a form; declare what the file itself is");
        return Err(Rejection::NoType(detail));
    }
    Ok(media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_is_judged_by_length_kind_and_the_pools_list() {
        let check = |size: Option<u64>, name: &str, declared: &str, taken: &[&str], expected| {
            let media_types = taken.iter().map(|text| text.parse().unwrap()).collect();
            let files = Files { size_bytes_max: 10, media_types };
            let declared = Declared {
                name: name.parse().unwrap(),
                media_type: declared.parse().unwrap(),
                size_bytes: size,
                sha256: None,
            };
            let judged = declared.judge(files.size_bytes_max, Some(&files));
            assert_eq!(judged.map_err(|no| no.code()), expected, "{declared:?}");
        };
        let forbidden = Err(Code::ForbiddenFileType);
        check(Some(10), "a.csv", "text/csv", &[], Ok(()));
        check(None, "a.csv", "text/csv", &["image/png", "text/csv"], Ok(()));
        check(Some(0), "a.csv", "text/csv", &[], Err(Code::EmptyFile));
        check(Some(11), "a.csv", "text/csv", &[], Err(Code::FileTooLarge));
        check(None, "a.exe", "text/csv", &[], forbidden);
        check(None, "a.csv", "text/html", &["text/html"], forbidden);
        check(None, "a.csv", "text/plain", &["image/png", "text/csv"], forbidden);
    }

    #[test]
    fn a_form_is_no_file() {
        let code = |text: &str| file_type(text).map_err(|no| no.code());
        assert_eq!(code("Text/CSV; charset=utf-8").unwrap().as_str(), "text/csv");
        for wrong in
            ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "csv", ""]
        {
            assert_eq!(code(wrong), Err(Code::UnsupportedMediaType), "{wrong}");
        }
    }
}
