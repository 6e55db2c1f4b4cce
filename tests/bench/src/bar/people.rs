//! A pool on a server, and those who belong to it.

use std::net::SocketAddr;

use client::{Client, Patience};
use schemas::api::CreatePool;
use schemas::id::AccountId;
use schemas::name::PoolName;
use schemas::policy::PolicyAsk;
use schemas::role::{Role, RoleSet};

use crate::http::Target;
use crate::server::Server;

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) account: AccountId,
    pub(super) token: String,
    pub(super) client: Client,
}

/// A pool and its owner.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) name: PoolName,
    pub(super) owner: Person,
    pub(super) at: SocketAddr,
    nobody: Client,
}

impl Pool {
    /// Makes it.
    pub(super) async fn make(server: &Server, policy: PolicyAsk) -> anyhow::Result<Self> {
        let nobody = server.client()?.patience(Patience::none());
        let name: PoolName = "bench".parse()?;
        let owner = sign_up(&nobody, "owner").await?;
        owner.client.create_pool(&CreatePool { name: name.clone(), policy }).await?;
        Ok(Self { name, owner, at: server.at, nobody })
    }

    /// Lets somebody in.
    pub(super) async fn member(&self, name: &str, role: Role) -> anyhow::Result<Person> {
        let person = sign_up(&self.nobody, name).await?;
        let roles = RoleSet::of(&[role]);
        self.owner.client.add_member(&self.name, person.account, roles).await?;
        Ok(person)
    }

    /// Where this member's files go.
    pub(super) fn target(&self, of: &Person) -> Target {
        let path = format!("/v1/pools/{}/uploads?name=noise.bin", self.name);
        Target { at: self.at, path, token: of.token.clone() }
    }
}

async fn sign_up(nobody: &Client, name: &str) -> anyhow::Result<Person> {
    let signed_in = nobody.sign_up(&name.parse()?, "a long password").await?;
    let client = nobody.clone().signed_in(&signed_in.access_token);
    Ok(Person { account: signed_in.user_id, token: signed_in.access_token, client })
}
