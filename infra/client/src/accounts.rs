//! Calls about accounts and sessions.

use schemas::api::{
    ClientSecret, ClientView, Credentials, MakeClient, Page, SignUp, SignedIn, Validated,
};
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

    /// Makes an API client. Not repeated when its outcome is unknown: its secret would be lost.
    pub async fn make_client(&self, name: &UserName) -> Result<ClientSecret> {
        let body = MakeClient { name: name.clone() };
        self.call(route::MAKE_CLIENT, &[]).json(&body).answer().await
    }

    /// The caller's API clients.
    pub async fn api_clients(&self) -> Result<Page<ClientView>> {
        self.call(route::LIST_CLIENTS, &[]).answer().await
    }

    /// Gives an API client another secret. Not repeated when its outcome is unknown.
    pub async fn renew_client(&self, client: AccountId) -> Result<ClientSecret> {
        self.call(route::RENEW_CLIENT, &[&client]).answer().await
    }

    /// Disables an API client for good.
    pub async fn revoke_client(&self, client: AccountId) -> Result<()> {
        self.call(route::REVOKE_CLIENT, &[&client]).done().await
    }

    /// Disables an account and its API clients.
    pub async fn disable_account(&self, account: AccountId) -> Result<()> {
        self.call(route::DISABLE_ACCOUNT, &[&account]).done().await
    }

    /// Has a disabled account be like any other.
    pub async fn enable_account(&self, account: AccountId) -> Result<()> {
        self.call(route::ENABLE_ACCOUNT, &[&account]).done().await
    }

    /// Whether the token is good for this user, and the user's role.
    pub async fn validate(&self, user: AccountId) -> Result<Validated> {
        self.call(route::VALIDATE, &[]).query("user_id", Some(user)).answer().await
    }
}
