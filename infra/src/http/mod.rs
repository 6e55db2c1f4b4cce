//! HTTP, as far as both sides share it: the server, what stands between a request and its handler,
//! and how refusals look.
//!
//! A request's way: [`serve`] takes the connection in, [`layers`] names and times the request,
//! [`router`] finds its handler, [`access`] says whether the caller may, [`extract`] and [`body`]
//! read it within bounds. Whatever refuses it answers with a [`Refused`].

pub mod access;
pub mod body;
mod caller;
pub mod digest;
pub mod extract;
pub mod layers;
mod pace;
pub mod position;
pub mod process;
mod refused;
pub mod router;
pub mod serve;
#[cfg(test)]
mod tests;

pub use access::{Access, Allowed};
pub use extract::{Json, Path, Query};
pub use position::{AskedPosition, PoolPosition};
pub use refused::Refused;
pub use router::Routes;
