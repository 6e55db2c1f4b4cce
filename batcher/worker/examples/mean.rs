//! A server in one file: averages the numbers in the CSV files of each batch.
//!
//!     cargo run --example mean -- http://127.0.0.1:7171 mean-server north-sea < password
//!
//! The password comes on standard input. The result has one line per column: name, mean, and how
//! many values it is of.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Error, ErrorKind};

use worker::{Batch, Client, Failed, Output, Worker};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, user, pool] = &arguments[..] else {
        return Err("usage: mean SERVER USER POOL, the password on standard input".into());
    };
    let mut password = String::new();
    std::io::stdin().read_line(&mut password)?;
    let client = Client::new(server)?.signing_in(user.parse()?, password.trim_end());
    Worker::new(client, pool.parse()?).run(mean).await?;
    Ok(())
}

async fn mean(batch: Batch) -> Result<Output, Failed> {
    let mut columns = BTreeMap::new();
    for input in &batch.files {
        let text = std::fs::read_to_string(&input.path)?;
        add(&text, &mut columns).map_err(|error| {
            Failed::for_good(format!("{} of {}: {error}", input.file.name, input.file.client))
        })?;
    }
    let mut result = String::from("column,mean,values\n");
    for (name, (sum, count)) in columns {
        writeln!(result, "{name},{},{count}", sum / f64::from(count))?;
    }
    Ok(Output::bytes("mean.csv".parse()?, "text/csv".parse()?, result))
}

/// Adds the numbers below each name in the first line.
fn add(text: &str, columns: &mut BTreeMap<String, (f64, u32)>) -> Result<(), Error> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').map(str::trim).collect();
    for line in lines.filter(|line| !line.trim().is_empty()) {
        for (name, cell) in names.iter().zip(line.split(',')) {
            let number: f64 = cell.trim().parse().map_err(|_| {
                Error::new(ErrorKind::InvalidData, format!("{cell:?} is not a number"))
            })?;
            let (sum, count) = columns.entry((*name).to_owned()).or_default();
            *sum += number;
            *count += 1;
        }
    }
    Ok(())
}
