//! Kills, and the oracle that judges what is left.

mod bugs;
mod clocks;
mod dump;
mod history;
mod judge;
mod kills;
mod load;
mod points;
mod workers;
mod world;
