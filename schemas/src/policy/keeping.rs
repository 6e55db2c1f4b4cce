//! How much a pool may hold, and for how long.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PolicyAsk;
use super::ask::Checks;
use crate::limit::Limits;

/// How much may be held. Checked before a file is taken; what is in the log is never refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quota {
    /// Bytes of the pool's files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The pool's files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// Bytes of one member's files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_bytes: Option<u64>,
    /// One member's files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_files: Option<u64>,
}

/// How long bytes are kept, by the log's clock. Their events stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Keep {
    /// Of files that were sent, from when they were placed; for ever where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs_ms: Option<u64>,
    /// Of results, from when they were published; for ever where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results_ms: Option<u64>,
}

impl Keep {
    /// The shorter of the two.
    pub fn shortest_ms(&self) -> Option<u64> {
        self.inputs_ms.into_iter().chain(self.results_ms).min()
    }
}

/// Ten years.
const KEEP_MS_MAX: u64 = 3_653 * 86_400_000;
/// What numbers in SQL and CQL can hold.
const QUOTA_MAX: u64 = i64::MAX.cast_unsigned();

impl Checks {
    /// Each where something of it was asked for.
    pub(super) fn keeping(
        &mut self,
        ask: &PolicyAsk,
        limits: &Limits,
    ) -> (Option<Quota>, Option<Keep>) {
        let mut most = |pointer, asked: Option<u64>, least, most| {
            asked.map(|value| self.within(pointer, value, least, most))
        };
        let quota = Quota {
            bytes: most("/quota_bytes", ask.quota_bytes, 1, QUOTA_MAX),
            files: most("/quota_files", ask.quota_files, 1, QUOTA_MAX),
            member_bytes: most("/member_quota_bytes", ask.member_quota_bytes, 1, QUOTA_MAX),
            member_files: most("/member_quota_files", ask.member_quota_files, 1, QUOTA_MAX),
        };
        let least = limits.period_ms_min;
        let keep = Keep {
            inputs_ms: most("/keep_inputs_ms", ask.keep_inputs_ms, least, KEEP_MS_MAX),
            results_ms: most("/keep_results_ms", ask.keep_results_ms, least, KEEP_MS_MAX),
        };
        let quota = (quota != Quota::default()).then_some(quota);
        (quota, (keep != Keep::default()).then_some(keep))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_asked_for_is_not_there() {
        let resolve = |ask: PolicyAsk| ask.resolve(&Limits::default());
        let plain = resolve(PolicyAsk::default()).unwrap();
        assert_eq!((plain.quota, plain.keep), (None, None));
        let text = serde_json::to_string(&plain).unwrap();
        assert!(
            !text.contains("\"quota\"") && !text.contains("\"keep\":"),
            "old logs fold as they did"
        );
        let ask = PolicyAsk {
            quota_files: Some(5),
            keep_results_ms: Some(60_000),
            ..PolicyAsk::default()
        };
        let policy = resolve(ask).unwrap();
        assert_eq!(policy.quota, Some(Quota { files: Some(5), ..Quota::default() }));
        assert_eq!(policy.keep.unwrap().shortest_ms(), Some(60_000));
        let ask = PolicyAsk {
            quota_bytes: Some(0),
            keep_inputs_ms: Some(59_999),
            ..PolicyAsk::default()
        };
        let pointers: Vec<_> =
            resolve(ask).unwrap_err().iter().map(|fault| fault.pointer).collect();
        assert_eq!(pointers, ["/quota_bytes", "/keep_inputs_ms"]);
    }
}
