//! `sluice pool webhook`: targets that a pool's notices are sent to.

use clap::Subcommand;
use client::Client;
use schemas::api::{MakeWebhook, NoticeKind, WebhookSecret, WebhookView};
use schemas::id::WebhookId;
use schemas::name::PoolName;

use crate::print::{or_dash, word};
use crate::session::Session;

/// Send notices to targets (docs/webhooks.md)
#[derive(Debug, Subcommand)]
pub(super) enum WebhookAct {
    /// Send notices to a target. Its secret is shown this once
    Add {
        /// The pool
        name: PoolName,
        /// Where to: https://…
        url: String,
        /// A kind of notice, such as result; once for each [default: all but accepted]
        #[arg(long = "notice", value_name = "KIND")]
        notices: Vec<NoticeKind>,
    },
    /// Show targets, and how each fares
    List {
        /// The pool
        name: PoolName,
    },
    /// Give a target another secret, shown this once; the one before signs too for a day
    Rotate {
        /// The pool
        name: PoolName,
        /// The webhook's id
        webhook: WebhookId,
    },
    /// Go on where it was, however it had ended
    Enable {
        /// The pool
        name: PoolName,
        /// The webhook's id
        webhook: WebhookId,
    },
    /// Send nothing until it is enabled
    Disable {
        /// The pool
        name: PoolName,
        /// The webhook's id
        webhook: WebhookId,
    },
    /// Forget a target
    Remove {
        /// The pool
        name: PoolName,
        /// The webhook's id
        webhook: WebhookId,
    },
}

pub(super) async fn run(act: WebhookAct, session: &Session, client: &Client) -> anyhow::Result<()> {
    let print = session.print;
    match act {
        WebhookAct::Add { name, url, notices } => {
            let notices = (!notices.is_empty()).then_some(notices);
            let made = client.make_webhook(&name, &MakeWebhook { url, notices }).await?;
            print.object(&made, secret)?;
        }
        WebhookAct::List { name } => {
            let heads = ["webhook", "url", "state", "next", "failed", "why"];
            print.rows(heads, &client.webhooks(&name).await?.items, row)?;
        }
        WebhookAct::Rotate { name, webhook } => {
            print.object(&client.renew_webhook(&name, webhook).await?, secret)?;
        }
        WebhookAct::Enable { name, webhook } => {
            client.enable_webhook(&name, webhook).await?;
            print.note(&format!("{webhook} goes on where it was"));
        }
        WebhookAct::Disable { name, webhook } => {
            client.disable_webhook(&name, webhook).await?;
            print.note(&format!("{webhook} is disabled"));
        }
        WebhookAct::Remove { name, webhook } => {
            client.remove_webhook(&name, webhook).await?;
            print.note(&format!("{webhook} is no more"));
        }
    }
    Ok(())
}

fn secret(made: &WebhookSecret) -> String {
    format!("webhook {}\nsecret {}", made.webhook, made.secret)
}

fn row(view: &WebhookView) -> [String; 6] {
    [
        view.webhook.to_string(),
        view.url.clone(),
        word(&view.state),
        or_dash(view.next),
        view.failures.to_string(),
        or_dash(view.failure.as_deref()),
    ]
}
