//! Accounts and sessions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::AccountId;
use crate::name::UserName;

/// `POST /auth/signup`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignUp {
    /// A free name.
    pub user_name: UserName,
    /// 8 to 256 characters.
    pub password: String,
}

/// `PUT /auth/login/{user_name}`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The password.
    pub password: String,
}

/// A session has begun.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct SignedIn {
    /// The account.
    pub user_id: AccountId,
    /// Its name.
    pub user_name: UserName,
    /// `admin` of the platform or `user`.
    pub role: String,
    /// Send it as `Authorization: Bearer …`.
    pub access_token: String,
    /// Its life in seconds.
    pub expires_in: u64,
    /// Good once, at `/auth/token`, for another token of the same session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
}

/// `POST /v1/clients`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MakeClient {
    /// A free name, as of a user.
    pub name: UserName,
}

/// An API client with its secret, which is shown this once and written down nowhere.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct ClientSecret {
    /// Its account, which can be made a member of pools.
    pub client_id: AccountId,
    /// With it: `grant_type=client_credentials` at `/auth/token`.
    pub client_secret: String,
}

/// An API client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClientView {
    /// Its account.
    pub client_id: AccountId,
    /// Its name.
    pub name: UserName,
    /// Whether it was revoked, or disabled.
    pub disabled: bool,
}

/// `POST /auth/token` (RFC 6749, section 5.1).
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct TokenAnswer {
    /// Send it as `Authorization: Bearer …`.
    pub access_token: String,
    /// `Bearer`.
    pub token_type: String,
    /// Its life in seconds.
    pub expires_in: u64,
    /// Good once, for another token of the same session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
}

/// `GET /auth/validate?user_id=…`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Validated {
    /// The account the token is good for.
    pub user_id: AccountId,
    /// `admin` of the platform or `user`.
    pub role: String,
}

macro_rules! hide_secrets {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), " { .. }"))
            }
        }
    )*};
}

hide_secrets!(SignUp, Credentials, SignedIn, TokenAnswer, ClientSecret);
