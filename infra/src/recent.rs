//! What was used of late, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;

/// A map of two generations: when the young one is full, the old one is forgotten and the young
/// one grows old. What is asked for becomes young again, so that what is used stays.
#[derive(Debug)]
pub struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    generation_max: usize,
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    /// One that remembers at least the last `generation_max` entries, and at most twice as many.
    pub fn new(generation_max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), generation_max }
    }

    /// What is remembered under a key.
    pub fn get(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.remove_entry(key)?;
        self.put(key, value.clone());
        Some(value)
    }

    /// Remembers it, in place of what was remembered under that key.
    pub fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.generation_max && !self.young.contains_key(&key) {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_oldest_is_forgotten() {
        let mut recent = Recent::new(100);
        recent.put(0, 'a');
        recent.put(1, 'b');
        for key in 2..1_000 {
            recent.put(key, 'c');
            assert_eq!(recent.get(&0), Some('a'), "{key}");
            assert!(recent.young.len() <= 100 && recent.old.len() <= 100);
        }
        assert_eq!(recent.get(&1), None);
        assert!((900..1_000).all(|key| recent.get(&key) == Some('c')));
    }

    #[test]
    fn the_last_that_was_put_is_remembered() {
        let mut recent = Recent::new(2);
        for value in 0..9 {
            recent.put("one", value);
        }
        recent.put("two", 1);
        recent.put("three", 2);
        recent.put("one", 10);
        assert_eq!([recent.get(&"one"), recent.get(&"two")], [Some(10), Some(1)]);
    }
}
