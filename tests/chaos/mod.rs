//! Kills, and the oracle that judges what is left.

mod dump;
mod history;
mod judge;
mod kills;
mod load;
mod workers;
mod world;
