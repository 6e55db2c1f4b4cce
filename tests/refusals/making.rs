//! What a world is made of: accounts, pools, batches in every state, tokens good and bad.

use std::path::Path;
use std::time::Duration;

use schemas::digest::Digest;
use serde_json::{Value, json};

use super::wire::{Then, send};
use super::world::{MEMBERS, World};
use crate::server::{ADMIN_PASSWORD, Server, Setup};

const PASSWORD: &str = "a long password";

impl World {
    pub(super) fn sign_up(&mut self, name: &str) {
        let body = json!({ "user_name": name, "password": PASSWORD }).to_string();
        let signed_in = self.done("nobody", "POST /auth/signup", &body);
        self.signed_in(name, &signed_in);
    }

    fn signed_in(&mut self, name: &str, signed_in: &Value) {
        let text = |field: &str| signed_in[field].as_str().unwrap().to_owned();
        self.tokens.insert(name.to_owned(), text("access_token"));
        self.know(name, &text("user_id"));
    }

    pub(super) fn people(&mut self) {
        for name in ["owner", "stranger", "removed", "out", "guest", "leaver_one", "leaver_two"] {
            self.sign_up(name);
        }
        for (name, _) in MEMBERS {
            // The name `admin` is the platform's.
            let name = if *name == "admin" { "pool-admin" } else { name };
            self.sign_up(name);
        }
        for map in [&mut self.tokens, &mut self.facts] {
            let admin = map.remove("pool-admin").unwrap();
            map.insert("admin".to_owned(), admin);
        }
        let body = json!({ "password": ADMIN_PASSWORD }).to_string();
        let platform = self.done("nobody", "PUT /auth/login/admin", &body);
        self.signed_in("platform", &platform);
        self.done("out", "PUT /auth/logout/out", "");
    }

    pub(super) fn pools(&mut self) {
        for (name, fact) in [
            ("refusals", "pool"),
            ("elsewhere", "foreign"),
            ("only-csv", "csv"),
            ("attic", "attic"),
        ] {
            self.know(fact, name);
        }
        self.know("nowhere", "nowhere");
        let policy = json!({
            "windows": { "kind": "tumbling", "period_ms": 86_400_000 },
            "file_bytes_max": 10_000,
            "lease_ms": 3_600_000,
            "lease_confirm_ms": 3_600_000,
        });
        let body = json!({ "name": "refusals", "policy": policy }).to_string();
        self.done_with(
            "owner",
            "POST /v1/pools",
            "idempotency-key: made\r\ncontent-type: application/json\r\n",
            &body,
        );
        let mut policy = policy;
        policy["media_types"] = json!(["text/csv"]);
        policy["quota_bytes"] = json!(5_000);
        policy["member_quota_bytes"] = json!(4_000);
        let body = json!({ "name": "only-csv", "policy": policy }).to_string();
        self.done("owner", "POST /v1/pools", &body);
        self.done("stranger", "POST /v1/pools", r#"{"name":"elsewhere"}"#);
        let add = |role: &str| json!({ "roles": [role] }).to_string();
        self.done("owner", "PUT /v1/pools/$pool/members/$removed", &add("contributor"));
        self.done("owner", "DELETE /v1/pools/$pool/members/$removed", "");
        for (name, role) in MEMBERS {
            self.done("owner", &format!("PUT /v1/pools/$pool/members/${name}"), &add(role));
        }
        for leaver in ["leaver_one", "leaver_two"] {
            self.done("owner", &format!("PUT /v1/pools/$pool/members/${leaver}"), &add("listener"));
        }
        self.done("owner", "PUT /v1/pools/$csv/members/$contributor", &add("contributor"));
        self.done(
            "stranger",
            "PUT /v1/pools/$foreign/members/$stranger",
            r#"{"roles":["owner","contributor","processor"]}"#,
        );
    }

    /// Batches: one with a result, one leased, one given back and leased to another, one of the
    /// foreign pool with a result. Each of one file.
    pub(super) fn batches(&mut self) {
        for (number, batch) in ["done", "leased", "lost"].into_iter().enumerate() {
            let lease = self.batch("pool", "contributor", "owner", "processor", number);
            let text = |field: &str| lease[field].as_str().unwrap().to_owned();
            self.know(batch, &text("batch"));
            self.know(&format!("{batch}_manifest"), &text("manifest_sha256"));
            self.know(&format!("{batch}_epoch"), &lease["epoch"].to_string());
            match batch {
                "done" => {
                    self.result("pool", "processor", &lease, "gone_result", "40");
                    self.corrects("gone_result", "wrong_result", "41");
                    self.corrects("wrong_result", "result", "42");
                    let line = "POST /v1/pools/$pool/results/$gone_result/withdraw";
                    self.done("owner", line, "");
                }
                "lost" => {
                    let body = r#"{"epoch":$lost_epoch,"reason":"on purpose"}"#;
                    self.done("processor", "POST /v1/pools/$pool/batches/$lost/fail", body);
                    let lease = self.claim("pool", "rival");
                    self.know("rival_epoch", &lease["epoch"].to_string());
                    assert_eq!(lease["batch"].as_str(), Some(self.fact("lost")));
                }
                _ => {}
            }
        }
        let lease = self.batch("foreign", "stranger", "stranger", "stranger", 9);
        self.know("foreign_batch", lease["batch"].as_str().unwrap());
        self.result("foreign", "stranger", &lease, "foreign_result", "42");
        let of_upload =
            |world: &Self| world.history()["items"][2]["upload"].as_str().map(str::to_owned);
        let upload = of_upload(self).expect("three files");
        self.know("upload", &upload);
    }

    fn batch(
        &mut self,
        pool: &str,
        sender: &str,
        closer: &str,
        worker: &str,
        number: usize,
    ) -> Value {
        let line = format!("POST /v1/pools/${pool}/uploads?name={number}.csv");
        let headers = format!("content-type: text/csv\r\nidempotency-key: file-{number}\r\n");
        let upload = self.done_with(sender, &line, &headers, "time,value\n1,2\n");
        let upload = upload["upload"].as_str().unwrap().to_owned();
        self.know(if pool == "pool" { "newest_upload" } else { "foreign_upload" }, &upload);
        self.done(closer, &format!("POST /v1/pools/${pool}/windows/close"), "{}");
        self.claim(pool, worker)
    }

    fn claim(&mut self, pool: &str, worker: &str) -> Value {
        let id = Digest::of(format!("{:?}", self.facts).as_bytes()).to_string();
        let body = json!({ "claim": &id[..32], "wait_ms": 10_000 }).to_string();
        self.done(worker, &format!("POST /v1/pools/${pool}/claims"), &body)
    }

    /// Puts other bytes in the place of a result, once it is shown.
    fn corrects(&mut self, of: &str, fact: &str, bytes: &str) {
        let place = format!("/v1/pools/$pool/results/${of}");
        self.done("owner", &format!("GET {place}"), "");
        let line = format!("POST {place}/correct?name=r.txt");
        let result = self.done_with("owner", &line, "content-type: text/plain\r\n", bytes);
        self.know(fact, result["result"].as_str().unwrap());
    }

    fn result(&mut self, pool: &str, worker: &str, lease: &Value, fact: &str, bytes: &str) {
        let field = |name: &str| lease[name].to_string().replace('"', "");
        let (batch, revision, epoch) = (field("batch"), field("revision"), field("epoch"));
        let manifest = field("manifest_sha256");
        let line = format!(
            "POST /v1/pools/${pool}/batches/{batch}/result?name=r.txt&revision={revision}\
             &epoch={epoch}&manifest_sha256={manifest}"
        );
        let result = self.done_with(worker, &line, "content-type: text/plain\r\n", bytes);
        self.know(fact, result["result"].as_str().unwrap());
    }

    /// Join tokens: one good, one redeemed, one run out.
    pub(super) fn join_tokens(&mut self) {
        for (fact, life_s) in [("good_token", None), ("used_token", None), ("old_token", Some(1))] {
            let body = json!({ "roles": ["listener"], "expires_in_s": life_s }).to_string();
            let issued = self.done("owner", "POST /v1/pools/$csv/join-tokens", &body);
            self.know(fact, issued["token"].as_str().unwrap());
        }
        self.done("guest", "POST /v1/pools/$csv/join", r#"{"token":"$used_token"}"#);
        std::thread::sleep(Duration::from_millis(1_100));
    }

    /// As many webhooks as the pool may have, of what does not happen here.
    pub(super) fn webhooks(&mut self) {
        for fact in ["webhook", "webhook_one", "webhook_two"] {
            let body = r#"{"url":"https://127.0.0.1:9/","notices":["batch-cancelled"]}"#;
            let made = self.done("owner", "POST /v1/pools/$pool/webhooks", body);
            self.know(fact, made["webhook"].as_str().unwrap());
        }
    }

    /// Who and what is not as it was: a suspended member, an archived pool, a revoked token, a
    /// device that joined in one call.
    pub(super) fn standing(&mut self) {
        let body = json!({ "roles": ["contributor"], "uses_max": 2 }).to_string();
        let issued = self.done("owner", "POST /v1/pools/$pool/join-tokens", &body);
        self.know("device_token", issued["token"].as_str().unwrap());
        let body = r#"{"token":"$device_token","user_name":"device-1"}"#;
        let joined = self.done("nobody", "POST /v1/pools/$pool/devices", body);
        assert_eq!(joined["roles"], json!(["contributor"]));
        assert_eq!(joined["password"].as_str().map(str::len), Some(43), "shown this once");
        self.signed_in("device", &joined);
        self.service();
        let listener = r#"{"roles":["listener"]}"#;
        let issued = self.done("owner", "POST /v1/pools/$csv/join-tokens", listener);
        self.know("revoked_token", issued["token"].as_str().unwrap());
        let line = format!("DELETE /v1/pools/$csv/join-tokens/{}", issued["id"].as_str().unwrap());
        self.done("owner", &line, "");
        let issued = self.done("owner", "POST /v1/pools/$pool/join-tokens", listener);
        self.know("spare_token", issued["id"].as_str().unwrap());
        self.done("owner", "POST /v1/pools", r#"{"name":"attic"}"#);
        for (name, role) in MEMBERS {
            let body = json!({ "roles": [role] }).to_string();
            self.done("owner", &format!("PUT /v1/pools/$attic/members/${name}"), &body);
        }
        self.done("owner", "PUT /v1/pools/$attic/members/$device", r#"{"roles":["contributor"]}"#);
        let processor = r#"{"roles":["processor"]}"#;
        self.done("owner", "PUT /v1/pools/$attic/members/$service", processor);
        let issued = self.done("owner", "POST /v1/pools/$attic/join-tokens", listener);
        self.know("attic_token", issued["token"].as_str().unwrap());
        for pool in ["pool", "attic"] {
            let line = format!("POST /v1/pools/${pool}/members/$suspended/suspend");
            self.done("owner", &line, "");
        }
        self.done("owner", "POST /v1/pools/$csv/pause", "");
        self.done("owner", "POST /v1/pools/$attic/archive", r#"{"open_windows":"cancel"}"#);
    }

    /// API clients of the owner: a processor of the pool, and one that was revoked. An account that
    /// is disabled.
    fn service(&mut self) {
        for name in ["service", "revoked-service"] {
            let body = json!({ "name": name }).to_string();
            let made = self.done("owner", "POST /v1/clients", &body);
            let text = |field: &str| made[field].as_str().unwrap().to_owned();
            self.know(&name.replace('-', "_"), &text("client_id"));
            self.know(&format!("{}_secret", name.replace('-', "_")), &text("client_secret"));
        }
        let form = "content-type: application/x-www-form-urlencoded\r\n";
        let body = "grant_type=client_credentials&client_id=$service&client_secret=$service_secret";
        let token = self.done_with("nobody", "POST /auth/token", form, body);
        let token = token["access_token"].as_str().unwrap().to_owned();
        self.tokens.insert("service".to_owned(), token);
        let processor = r#"{"roles":["processor"]}"#;
        self.done("owner", "PUT /v1/pools/$pool/members/$service", processor);
        self.done("owner", "DELETE /v1/clients/$revoked_service", "");
        self.sign_up("disabled");
        self.done("platform", "POST /v1/accounts/$disabled/disable", "");
        let token = self.tokens["disabled"].clone();
        self.know("disabled_token", &token);
    }

    /// Tokens as a thief would make them of one of ours.
    pub(super) fn forge(&mut self) {
        let [ours, theirs] = ["owner", "stranger"]
            .map(|who| self.tokens[who].split('.').map(str::to_owned).collect::<Vec<_>>());
        let (claims, signature) = (&ours[1], &ours[2]);
        // {"alg":"none"} and {"alg":"HS256","typ":"JWT"}
        let unsigned = format!("eyJhbGciOiJub25lIn0.{claims}.");
        let hmac = format!("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.{claims}.{signature}");
        let swapped = format!("{}.{}.{signature}", ours[0], theirs[1]);
        let whole = ours.join(".");
        for (fact, forged) in
            [("unsigned", unsigned), ("hmac", hmac), ("swapped", swapped), ("token", whole)]
        {
            self.know(fact, &forged);
        }
        for (fact, who) in [("signed_out", "out"), ("sender", "contributor")] {
            let token = self.tokens[who].clone();
            self.know(fact, &token);
        }
    }

    /// Parts of a good form, and of cursors that begin as they should.
    pub(super) fn parts(&mut self) {
        let part = |name: &str, body: &str| {
            format!("--X\r\ncontent-disposition: form-data; name={name}\r\n\r\n{body}")
        };
        let item = |name: &str| json!({ "name": name, "observed_at": "2026-11-21T10:30:00Z" });
        let manifest = json!({ "items": [item("a.csv"), item("b.csv")] }).to_string();
        self.know("manifest", &part("\"manifest\"", &manifest));
        self.know("part_a", &part("\"file\"; filename=\"a.csv\"", "time,value"));
        self.know("part_b", &part("\"file\"; filename=\"b.csv\"", "time,value"));
        for (fact, line) in [
            ("batches_bucket", "GET /v1/pools/$pool/batches?limit=1"),
            ("uploads_bucket", "GET /client/history/$contributor?limit=1"),
        ] {
            let who = if fact == "batches_bucket" { "owner" } else { "contributor" };
            let page = self.ask(who, line, "").json();
            let cursor = page["next_cursor"].as_str().unwrap();
            self.know(fact, cursor.split('_').next().unwrap());
        }
        let history = self.history();
        let files = history["items"].as_array().unwrap();
        let moment =
            |file: Option<&Value>| file.unwrap()["effective_at"].as_str().unwrap().to_owned();
        let (newest, oldest) = (moment(files.first()), moment(files.last()));
        self.know("oldest_file", &oldest);
        self.know("day_of_newest_file", newest.split('T').next().unwrap());
        self.know("cursor_long", "_n1_n2_n3_n4_n5_n6");
        self.know("cursor_kinds", &"_i00000000000000000000000000000009".repeat(2));
    }

    fn history(&self) -> Value {
        self.ask("contributor", "GET /v1/pools/$pool/clients/$contributor/history", "").json()
    }
}

/// A token of this very installation whose time is over.
pub(super) fn expired_token(data: &Path) -> String {
    let mut setup = Setup::new(data);
    setup.limits.push("token_ms=1000".to_owned());
    let server = Server::start(setup);
    let body = json!({ "user_name": "expired", "password": PASSWORD }).to_string();
    let request = format!(
        "POST /auth/signup HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let address = server.url().replace("http://", "");
    let answer = send(&address, request.as_bytes(), Then::Waits).unwrap().unwrap();
    std::thread::sleep(Duration::from_millis(1_100));
    answer.json()["access_token"].as_str().unwrap().to_owned()
}
