//! Ids of uploads: keyed hashes, so that a retry has the same one and nobody can guess another's.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use schemas::id::{AccountId, PoolId, UpdateId, UploadId};
use schemas::name::{IdempotencyKey, PoolName};
use sha2::Sha256;
use uuid::Uuid;

/// The secret that ids are made with. The same on all instances and for ever: with another one a
/// retry would count as a new upload.
pub struct UploadKey([u8; 32]);

impl UploadKey {
    /// The key with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// One upload: the same for every request of this client under this key.
    pub(crate) fn upload(&self, pool: PoolId, client: AccountId, key: &IdempotencyKey) -> UploadId {
        UploadId::from_uuid(self.hash(pool.uuid(), client, &[key.as_str().as_bytes()]))
    }

    /// One update.
    pub(crate) fn update(&self, pool: PoolId, client: AccountId, key: &IdempotencyKey) -> UpdateId {
        // A key has no zero byte: no upload's message is like this.
        UpdateId::from_uuid(self.hash(
            pool.uuid(),
            client,
            &[b"\0update\0", key.as_str().as_bytes()],
        ))
    }

    /// One file of an update, by its place in the manifest.
    pub(crate) fn item(
        &self,
        pool: PoolId,
        client: AccountId,
        key: &IdempotencyKey,
        index: u32,
    ) -> UploadId {
        let index = index.to_be_bytes();
        let parts: [&[u8]; 4] = [b"\0item\0", key.as_str().as_bytes(), b"\0", &index];
        UploadId::from_uuid(self.hash(pool.uuid(), client, &parts))
    }

    /// The pool of this name that this account makes under this key. With another name it is
    /// another: ids of batches and uploads are computed from it.
    pub(crate) fn pool(&self, owner: AccountId, key: &IdempotencyKey, name: &PoolName) -> PoolId {
        let (key, name) = (key.as_str().as_bytes(), name.as_str().as_bytes());
        let parts: [&[u8]; 4] = [b"\0pool\0", key, b"\0", name];
        PoolId::from_uuid(self.hash(Uuid::nil(), owner, &parts))
    }

    /// The first 16 bytes of HMAC-SHA256 (RFC 2104), as a UUID of version 8 (RFC 9562).
    fn hash(&self, pool: Uuid, client: AccountId, rest: &[&[u8]]) -> Uuid {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key may have any length");
        mac.update(pool.as_bytes());
        mac.update(client.uuid().as_bytes());
        for part in rest {
            mac.update(part);
        }
        let hash = mac.finalize().into_bytes();
        let first = hash.first_chunk::<16>().copied().expect("SHA-256 has 32 bytes");
        uuid::Builder::from_custom_bytes(first).into_uuid()
    }
}

impl fmt::Debug for UploadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UploadKey { .. }")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn key(text: &str) -> IdempotencyKey {
        text.parse().unwrap()
    }

    fn name(text: &str) -> PoolName {
        text.parse().unwrap()
    }

    #[test]
    fn an_upload_id_is_the_hash_that_anyone_with_the_key_computes() {
        let upload = UploadKey::from_bytes([7; 32]).upload(
            PoolId::from_bits(1),
            AccountId::from_bits(2),
            &key("a-1"),
        );
        // Computed with Python's hmac, then the version and variant bits of a UUIDv8.
        assert_eq!(upload.to_string(), "7727e8b6-7f91-84ab-9def-58c7d5fb5fa5");
        assert_eq!(upload.uuid().get_version_num(), 8);
    }

    #[test]
    fn other_pools_clients_keys_kinds_and_secrets_give_other_ids() {
        let [ours, theirs] = [[7; 32], [8; 32]].map(UploadKey::from_bytes);
        let [pool, other_pool] = [1, 2].map(PoolId::from_bits);
        let [client, other] = [1, 2].map(AccountId::from_bits);
        let (a, b) = (key("a"), key("b"));
        let ids = [
            ours.upload(pool, client, &a).uuid(),
            ours.upload(other_pool, client, &a).uuid(),
            ours.upload(pool, other, &a).uuid(),
            ours.upload(pool, client, &b).uuid(),
            ours.update(pool, client, &a).uuid(),
            ours.item(pool, client, &a, 0).uuid(),
            ours.item(pool, client, &a, 1).uuid(),
            ours.pool(client, &a, &name("one")).uuid(),
            ours.pool(client, &a, &name("two")).uuid(),
            theirs.upload(pool, client, &a).uuid(),
        ];
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
        assert_eq!(ours.upload(pool, client, &a), ours.upload(pool, client, &key("a")));
    }
}
