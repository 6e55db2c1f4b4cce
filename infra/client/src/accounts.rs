//! Calls about accounts and sessions.

use schemas::api::{Credentials, SignUp, SignedIn, Validated};
use schemas::id::AccountId;
use schemas::name::UserName;
use schemas::route;

use crate::client::Client;
use crate::error::Result;

impl Client {
    /// Makes an account and signs it in. Not repeated when its outcome is unknown: try to sign in
    /// then.
    pub async fn sign_up(&self, user_name: &UserName, password: &str) -> Result<SignedIn> {
        let body = SignUp { user_name: user_name.clone(), password: password.to_owned() };
        self.call(route::SIGN_UP, &[]).json(&body).answer().await
    }

    /// Signs in with a password.
    pub async fn log_in(&self, user_name: &UserName, password: &str) -> Result<SignedIn> {
        let body = Credentials { password: password.to_owned() };
        self.call(route::LOG_IN, &[user_name]).json(&body).answer().await
    }

    /// Signs out: the token is dead everywhere within a second.
    pub async fn log_out(&self, user_name: &UserName) -> Result<()> {
        self.call(route::LOG_OUT, &[user_name]).done().await
    }

    /// The server's public keys, those that sign nothing any more among them, as a JWK Set.
    pub async fn keys(&self) -> Result<serde_json::Value> {
        self.call(route::KEYS, &[]).answer().await
    }

    /// Whether the token is good for this user, and the user's role.
    pub async fn validate(&self, user: AccountId) -> Result<Validated> {
        self.call(route::VALIDATE, &[]).query("user_id", Some(user)).answer().await
    }
}
