//! Every bound in one table: name, default, unit in the name, reason.
//!
//! Limits guard a process. What decides how files are grouped stands in the pool's policy instead,
//! written out in its log, so that a replay does not depend on how a process was configured.

macro_rules! limits {
    ($($(#[doc = $doc:literal])* $name:ident: $default:expr;)*) => {
        /// The bounds a process keeps. Each can be set by flag, environment or file.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits {
            $($(#[doc = $doc])* pub $name: u64,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl Limits {
            /// Name, default and meaning of each, for the configuration reader and the docs.
            pub const TABLE: &'static [(&'static str, u64, &'static str)] =
                &[$((stringify!($name), $default, concat!($($doc),*)),)*];

            /// Sets the limit of this name; false when there is none.
            pub fn set(&mut self, name: &str, value: u64) -> bool {
                match name {
                    $(stringify!($name) => self.$name = value,)*
                    _ => return false,
                }
                true
            }
        }
    };
}

limits! {
    /// Largest file a pool may allow; a pool's own bound is in its policy.
    file_bytes_max: 100_000_000;
    /// Most files in one update of an offline client.
    update_files_max: 1_000;
    /// Largest body of one update, all its files together.
    update_bytes_max: 1_000_000_000;
    /// Largest record in the log; Kafka's own default is 1 MiB.
    record_bytes_max: 900_000;
    /// Largest JSON body of a request.
    json_bytes_max: 1_000_000;
    /// Largest head of a request: its line and headers.
    headers_bytes_max: 32_768;
    /// Most files of a range that is asked for.
    range_files_max: 10_000;
    /// Pools in one installation.
    pools_max: 1_000;
    /// Accounts in one installation.
    accounts_max: 1_000_000;
    /// Shortest period of a window.
    period_ms_min: 60_000;
    /// Longest period of a window: 31 days.
    period_ms_max: 2_678_400_000;
    /// Life of an access token.
    token_ms: 3_600_000;
    /// Life of a refresh token that is not used: 30 days.
    refresh_ms: 2_592_000_000;
    /// Sessions of one account that can be refreshed; beyond it those that would end first end.
    sessions_max: 100;
    /// API clients of one account.
    clients_max: 100;
    /// Longest a request waits for the answer of the fold before it gets 202.
    answer_ms_max: 5_000;
    /// Longest a claim may wait for a batch.
    claim_wait_ms_max: 60_000;
    /// Longest a read waits for the tables to reach the position it asks for.
    position_wait_ms_max: 2_000;
    /// Oldest confirmation that the directory has been read to its end.
    directory_age_ms_max: 750;
    /// Connections a server holds at once.
    connections_max: 10_000;
    /// Longest a new connection may take to send the head of its first request.
    head_wait_ms_max: 10_000;
    /// Longest a connection may lie idle between two requests.
    idle_ms_max: 75_000;
    /// Longest a body may pause; slower clients resume by retrying.
    body_pause_ms_max: 20_000;
    /// Requests a second that one client address may make (IPv6: one /64); 0 for any number.
    address_requests_per_s: 100;
    /// Requests that an address which has been quiet may make at once.
    address_burst: 200;
    /// Addresses whose requests are counted at once; beyond it the most modest are forgotten.
    addresses_max: 65_536;
    /// Free bytes below which new files are refused: room for the log, the tables and what is kept.
    disk_free_bytes_min: 268_435_456;
    /// How long it counts how much room was seen on the disk.
    disk_look_ms: 1_000;
    /// How long an upload that was let in counts against a quota if nothing more is heard of it.
    reservation_ms: 3_600_000;
    /// The wait between two rounds of sweeping up objects that nothing names.
    sweep_every_ms: 600_000;
    /// Objects that one round looks at; the next round goes on from there.
    sweep_objects_max: 50_000;
    /// Youngest object, by the store's clock, that is swept up when nothing names it.
    sweep_age_ms_min: 86_400_000;
    /// How long an object must have been found unnamed, by a clock that does not jump, to be swept up.
    sweep_settle_ms: 3_600_000;
    /// Rows in one page of an answer.
    page_rows_max: 1_000;
    /// Bytes a reader of the log may hold ahead of its consumer.
    ahead_bytes_max: 8_388_608;
    /// Listeners on the notices of one instance.
    listeners_max: 20_000;
    /// Webhooks of one pool.
    pool_webhooks_max: 10;
    /// Webhooks of one installation.
    webhooks_max: 1_000;
    /// Longest a target may take to answer a message.
    webhook_ms_max: 15_000;
    /// The wait before a message that was not taken is sent again; the waits after it are up to
    /// 17,280 times as long (docs/webhooks.md).
    webhook_first_wait_ms: 5_000;
    /// Events of a pool after which its state is stored again, so that a start need not read all.
    snapshot_events: 10_000;
    /// Records of the audit log that may wait to be written; while there are as many, nothing is done
    /// that would have to be recorded.
    audit_waiting_max: 10_000;
    /// Longest an answer waits for its record in the audit log.
    audit_wait_ms_max: 1_000;
    /// How long the keys of an external issuer are taken as they were fetched.
    issuer_keys_ms: 600_000;
    /// How long they are believed when they cannot be fetched again.
    issuer_keys_ms_max: 86_400_000;
    /// The least time between two fetches of them, whatever key a token names.
    issuer_pause_ms_min: 10_000;
    /// Rows that one request for a filtered list looks at; the next page goes on from there.
    walk_rows_max: 5_000;
    /// Password checks at once: each takes 19 MiB for some tens of milliseconds.
    password_checks_max: 2;
}

const _: () = {
    // An update's one record: its references, each at most about 1.3 KB with the longest names.
    assert!(crate::file::REFERENCES_BYTES_MAX < 900_000);
    assert!(crate::name::FILE_NAME_BYTES_MAX < 256);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_can_be_set_by_its_name() {
        let mut limits = Limits::default();
        for (name, default, doc) in Limits::TABLE {
            assert!(limits.set(name, default + 1), "{name}");
            assert!(doc.ends_with('.'), "{name} is documented");
        }
        assert!(!limits.set("nonsense", 1));
        assert_eq!(limits.file_bytes_max, Limits::default().file_bytes_max + 1);
    }
}
