//! Whether text begins as markup that a browser, or a server, would run.

/// Elements with which a page begins in practice.
const PAGES: &[&str] =
    &["html", "head", "body", "script", "iframe", "style", "title", "meta", "object", "embed"];

/// What it is, if something would run it. Blanks, comments, declarations and document types in
/// front of the first element are looked past.
pub(super) fn runs(head: &[u8]) -> Option<&'static str> {
    let text = narrowed(head);
    let mut rest = text.as_str();
    loop {
        rest = rest.trim_start();
        let tag = rest.strip_prefix('<')?;
        if tag.starts_with("?php") || tag.starts_with("?=") {
            return Some("a script");
        }
        rest = if tag.starts_with('?') {
            after(tag, "?>")?
        } else if tag.starts_with("!--") {
            after(tag, "-->")?
        } else if let Some(kind) = tag.strip_prefix("!doctype") {
            if let Some(what) = named(kind.trim_start()) {
                return Some(what);
            }
            // An internal subset may hold brackets of its own.
            match (kind.find('['), kind.find('>')) {
                (Some(subset), Some(end)) if subset < end => after(kind, "]>")?,
                _ => after(kind, ">")?,
            }
        } else {
            return named(tag);
        };
    }
}

fn after<'a>(text: &'a str, end: &str) -> Option<&'a str> {
    text.split_once(end).map(|(_, rest)| rest)
}

/// What an element of this name begins; a prefix of a namespace is looked past.
fn named(tag: &str) -> Option<&'static str> {
    let end = tag.find(|c: char| !c.is_ascii_alphanumeric() && c != ':').unwrap_or(tag.len());
    let name = tag.get(..end)?;
    let name = name.rsplit_once(':').map_or(name, |(_, name)| name);
    if name == "svg" {
        Some("an SVG image, which may carry scripts")
    } else if PAGES.contains(&name) {
        Some("a page of HTML")
    } else {
        None
    }
}

/// The text in lower case, without a byte order mark; characters of two bytes made one.
fn narrowed(head: &[u8]) -> String {
    let wide = head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff");
    let bytes = match head.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => rest,
        None if wide => head.get(2..).unwrap_or_default(),
        None => head,
    };
    let narrow = bytes.iter().filter(|byte| !wide || **byte != 0);
    narrow.map(|byte| char::from(byte.to_ascii_lowercase())).collect()
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn what_a_browser_would_run_is_found_behind_what_may_stand_in_front() {
        let check = |head: &[u8], expected: bool| {
            assert_eq!(runs(head).is_some(), expected, "{}", String::from_utf8_lossy(head));
        };
        for head in [
            "<html>",
            "<!DOCTYPE html>",
            "<!doctype HTML PUBLIC \"x\">",
            "  \r\n<HtMl lang=en>",
            "<!-- x --><script>",
            "<!-- <a> --> <!-- b --><body\n>",
            "<?xml version=\"1.0\"?>\n<!-- c -->\n<svg:svg xmlns:svg=\"x\">",
            "<!DOCTYPE svg PUBLIC \"-//W3C//DTD SVG 1.1//EN\" \"x\"><svg/>",
            "<!DOCTYPE a [<!ENTITY b \"c\">]><svg>",
            "<?PHP echo 1",
            "\u{feff}<html>",
        ] {
            check(head.as_bytes(), true);
        }
        check(b"\xff\xfe<\0h\0t\0m\0l\0>\0", true);
        check(b"\xfe\xff\0<\0s\0v\0g\0>", true);
        for head in [
            "",
            "<",
            "a <html>",
            "<htmlish>",
            "<?xml version='1.0'?><gpx>",
            "<?xml never ends",
            "<!-- never ends <script>",
            "<!DOCTYPE gpx><gpx/>",
            "<kml xmlns='x'>",
            "{\"html\": \"<html>\"}",
            "写真",
        ] {
            check(head.as_bytes(), false);
        }
    }
}
