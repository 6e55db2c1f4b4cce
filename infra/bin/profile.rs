//! Who is signed in where: a file of one's own, readable by nobody else.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use schemas::id::AccountId;
use schemas::name::{PoolName, UserName};
use serde::{Deserialize, Serialize};

/// One signed-in user of one server.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) server: String,
    pub(crate) user_name: UserName,
    pub(crate) user_id: AccountId,
    pub(crate) access_token: String,
}

/// Where the profile is kept, and beside it where this user has written last.
#[derive(Clone, Debug)]
pub(crate) struct ProfileFile(PathBuf);

impl ProfileFile {
    /// The one named, or the user's own.
    pub(crate) fn new(named: Option<PathBuf>) -> Self {
        Self(match named {
            None => config_folder().join("sluice/profile.json"),
            Some(name) if is_plain(&name) => {
                config_folder().join("sluice/profiles").join(name).with_extension("json")
            }
            Some(path) => path,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The profile, unless nobody has signed in.
    pub(crate) fn load(&self) -> anyhow::Result<Option<Profile>> {
        let loaded = read(&self.0);
        loaded.with_context(|| format!("{}: mend it or sign in anew", self.0.display()))
    }

    /// Keeps a profile; what was written under another one is forgotten.
    pub(crate) fn save(&self, profile: &Profile) -> anyhow::Result<()> {
        remove(&self.positions_path())?;
        write_private(&self.0, profile)
    }

    /// Forgets it.
    pub(crate) fn remove(&self) -> anyhow::Result<()> {
        remove(&self.positions_path())?;
        remove(&self.0)
    }

    /// Where this user has written last, pool by pool: what one did is what one sees, also from
    /// the next process. Of little worth, so nothing is said when it cannot be read or kept.
    pub(crate) fn positions(&self) -> BTreeMap<PoolName, u64> {
        read(&self.positions_path()).ok().flatten().unwrap_or_default()
    }

    pub(crate) fn save_positions(&self, positions: &BTreeMap<PoolName, u64>) {
        _ = write_private(&self.positions_path(), positions);
    }

    fn positions_path(&self) -> PathBuf {
        self.0.with_extension("positions.json")
    }
}

/// Whether it is a name among the user's settings, not the path of a file.
fn is_plain(named: &Path) -> bool {
    let text = named.to_string_lossy();
    !text.is_empty() && !text.contains(['/', '\\', '.'])
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> anyhow::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| path.display().to_string())
        }
        _ => Ok(()),
    }
}

/// Replaces the file at `path` as a whole. The library makes it readable by its owner only.
fn write_private(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let write = || -> anyhow::Result<()> {
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(&mut file, value)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| path.display().to_string())
}

/// The user's folder for settings (XDG Base Directory Specification).
#[allow(clippy::disallowed_methods, reason = "the one home of the look-up of XDG folders")]
pub(crate) fn config_folder() -> PathBuf {
    let named = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    // A relative path is invalid there, and to be ignored.
    let named = named.filter(|path| path.is_absolute());
    named.unwrap_or_else(|| std::env::home_dir().unwrap_or_default().join(".config"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(server: &str) -> Profile {
        Profile {
            server: server.into(),
            user_name: "ada".parse().unwrap(),
            user_id: AccountId::from_bits(7),
            access_token: "secret".into(),
        }
    }

    #[test]
    fn a_profile_is_kept_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = ProfileFile::new(Some(folder.path().join("below/profile.json")));
        assert!(file.load().unwrap().is_none());
        file.save(&profile("http://a")).unwrap();
        file.save(&profile("http://b")).unwrap();
        assert_eq!(file.load().unwrap().unwrap().server, "http://b");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(file.path()).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        file.remove().unwrap();
        file.remove().unwrap();
        assert!(file.load().unwrap().is_none());
    }

    #[test]
    fn a_plain_name_lies_with_the_settings() {
        let path = |named: &str| ProfileFile::new(Some(named.into())).path().to_owned();
        let plain = path("buoy-17");
        assert!(plain.ends_with("sluice/profiles/buoy-17.json"), "{}", plain.display());
        for file in ["./buoy-17", "a/b", "buoy.json", "/tmp/buoy"] {
            assert_eq!(path(file), Path::new(file));
        }
    }

    #[test]
    fn positions_are_another_users_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let file = ProfileFile::new(Some(folder.path().join("profile.json")));
        file.save(&profile("http://a")).unwrap();
        let positions = BTreeMap::from([("north".parse().unwrap(), 7)]);
        file.save_positions(&positions);
        assert_eq!(file.positions(), positions);
        file.save(&profile("http://b")).unwrap();
        assert!(file.positions().is_empty());
    }

    #[test]
    fn a_profile_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile.json");
        fs::write(&path, "{").unwrap();
        let error = ProfileFile::new(Some(path.clone())).load().err().unwrap();
        assert!(format!("{error:#}").contains(&*path.to_string_lossy()), "{error:#}");
    }
}
