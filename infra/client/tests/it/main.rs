//! The client against a small server made for each test.

#[cfg(test)]
mod calls;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod fetching;
#[cfg(test)]
mod listening;
#[cfg(test)]
mod spooling;
