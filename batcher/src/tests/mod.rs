//! The loop on a real log: restarts, zombies, torn tails, idle windows, pools that halt.

mod loops;
mod world;
