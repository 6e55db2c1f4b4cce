//! Who the client is to the server: nobody, the holder of a token, or a user who signs in again
//! when a token has run out.

use std::fmt;
use std::sync::Arc;

use schemas::name::UserName;
use tokio::sync::Mutex;

use crate::client::Client;
use crate::error::Result;

/// Who calls.
#[derive(Clone, Default)]
pub(crate) enum Identity {
    #[default]
    Nobody,
    Token(Arc<str>),
    User(Arc<User>),
}

/// A user with a password, and the token it is signed in with.
pub(crate) struct User {
    name: UserName,
    password: Box<str>,
    token: Mutex<Option<Arc<str>>>,
}

impl Identity {
    pub(crate) fn user(name: UserName, password: &str) -> Self {
        Self::User(Arc::new(User { name, password: password.into(), token: Mutex::default() }))
    }

    /// The token to send, signing in for one when there is none yet.
    pub(crate) async fn token(&self, client: &Client) -> Result<Option<Arc<str>>> {
        match self {
            Self::Nobody => Ok(None),
            Self::Token(token) => Ok(Some(Arc::clone(token))),
            Self::User(user) => user.token(client).await.map(Some),
        }
    }

    /// Another token than `refused`, if one can be had.
    pub(crate) async fn renewed(
        &self,
        client: &Client,
        refused: Option<&Arc<str>>,
    ) -> Result<Option<Arc<str>>> {
        let Self::User(user) = self else { return Ok(None) };
        let mut token = user.token.lock().await;
        // Another call may have signed in since.
        token.take_if(|token| Some(&*token) == refused);
        drop(token);
        user.token(client).await.map(Some)
    }
}

impl User {
    /// One sign-in at a time: the others wait for its token.
    async fn token(&self, client: &Client) -> Result<Arc<str>> {
        let mut token = self.token.lock().await;
        if let Some(token) = &*token {
            return Ok(Arc::clone(token));
        }
        // Boxed: signing in is a call itself.
        let signed_in = Box::pin(client.anonymous().log_in(&self.name, &self.password)).await?;
        Ok(Arc::clone(token.insert(signed_in.access_token.into())))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("Nobody"),
            Self::Token(_) => f.write_str("Token(..)"),
            Self::User(user) => write!(f, "User({})", user.name),
        }
    }
}
