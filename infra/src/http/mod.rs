//! HTTP, as far as both sides share it: the server, what stands between a request and its handler,
//! and how refusals look.
//!
//! A request's way: [`serve`] takes the connection in, [`layers`] names, counts and times it,
//! [`router`] finds its handler, [`access`] says whether the caller may, [`extract`] and [`body`]
//! read it within bounds. Whatever refuses it answers with a [`Refused`].

pub mod access;
pub mod body;
mod caller;
pub mod digest;
pub mod docs;
pub mod extract;
pub mod layers;
mod pace;
pub mod page;
pub mod peer;
pub mod position;
pub mod process;
pub mod rate;
mod refused;
pub mod router;
pub mod serve;
#[cfg(test)]
mod tests;
pub mod tls;

pub use access::{Access, Allowed};
pub use caller::PlatformAdmin;
pub use extract::{Json, Path, Query};
pub use page::{Here, Link, Listed};
pub use position::{AskedPosition, PoolPosition};
pub use refused::Refused;
pub use router::Routes;
