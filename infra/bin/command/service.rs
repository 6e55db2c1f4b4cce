//! `sluice service`: API clients, the accounts of services.

use clap::{Args, Subcommand};
use schemas::api::{ClientSecret, ClientView};
use schemas::id::AccountId;
use schemas::name::UserName;

use crate::outcome::Done;
use crate::session::Session;

/// Make accounts for services, which sign in with a secret (OAuth 2.0 client credentials)
#[derive(Args, Debug)]
pub(crate) struct ServiceArgs {
    #[command(subcommand)]
    act: ServiceAct,
}

#[derive(Debug, Subcommand)]
enum ServiceAct {
    /// Make one; its secret is shown this once
    Create {
        /// A free name
        name: UserName,
    },
    /// Show yours
    List,
    /// Give one another secret, shown this once; the one before is dead
    Renew {
        /// Its id
        client: AccountId,
    },
    /// Disable one for good: its tokens are dead within a second
    Revoke {
        /// Its id
        client: AccountId,
    },
}

pub(crate) async fn run(args: ServiceArgs, session: &Session) -> anyhow::Result<Done> {
    let (client, print) = (session.client()?, session.print);
    match args.act {
        ServiceAct::Create { name } => {
            print.object(&client.make_client(&name).await?, told)?;
            print.note("make it a member: sluice pool add POOL ID --role processor");
        }
        ServiceAct::List => {
            let clients = client.api_clients().await?;
            print.rows(["id", "name", "state"], &clients.items, row)?;
        }
        ServiceAct::Renew { client: id } => {
            print.object(&client.renew_client(id).await?, told)?;
        }
        ServiceAct::Revoke { client: id } => {
            client.revoke_client(id).await?;
            print.note(&format!("{id} is dead"));
        }
    }
    Ok(Done::Whole)
}

fn told(made: &ClientSecret) -> String {
    format!("id     {}\nsecret {}", made.client_id, made.client_secret)
}

fn row(client: &ClientView) -> [String; 3] {
    let state = if client.disabled { "disabled" } else { "-" };
    [client.client_id.to_string(), client.name.to_string(), state.to_owned()]
}
