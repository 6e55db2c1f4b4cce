//! Kills, and the oracle that judges what is left.

mod history;
mod judge;
