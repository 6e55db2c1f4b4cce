//! What people and scripts do on the command line, against the built binary.

mod backup;
mod import;
mod invitation;
mod output;
mod prove;
mod receipts;
mod stand;
