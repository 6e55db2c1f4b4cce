//! The worker against a small server made for each test.

#[cfg(test)]
mod ends;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod gathers;
