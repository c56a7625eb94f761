//! A map as one page that needs nothing else.
//!
//! Invariant: names get into the page as data alone. What is in the script tag is JSON without `<`, `>` and `&`, and
//! the
//! program puts texts into the page as texts ([`page.js`](page.js)).

use super::data::Map;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const PROGRAM: &str = include_str!("page.js");

/// The page.
///
/// # Errors
/// None that is known of: what a map holds can be written as JSON.
pub(super) fn page(map: &Map) -> serde_json::Result<String> {
    let data = data(&serde_json::to_string(map)?);
    // What was put in is not looked at again: the data, which others wrote, comes last.
    Ok(PAGE.replacen("/*style*/", STYLE, 1).replacen("/*program*/", PROGRAM, 1).replacen("/*data*/", &data, 1))
}

/// JSON that may stand in a script tag: in it these characters occur within strings alone.
fn data(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_end_the_script() {
        let json = serde_json::to_string("</script><img src=x onerror=alert(1)>&amp;<!--").unwrap();
        let data = data(&json);
        assert!(!data.contains(['<', '>', '&']));
        assert_eq!(serde_json::from_str::<String>(&data).unwrap(), serde_json::from_str::<String>(&json).unwrap());
    }

    #[test]
    fn the_page_has_a_place_for_everything() {
        for place in ["/*style*/", "/*program*/", "/*data*/"] {
            assert_eq!(PAGE.matches(place).count(), 1, "{place}");
            assert!(!STYLE.contains(place) && !PROGRAM.contains(place));
        }
        let rest = [PAGE, STYLE, PROGRAM].concat().replace("http://www.w3.org/2000/svg", "");
        assert!(!rest.contains("://"), "the page loads something");
        assert!(!PROGRAM.contains("innerHTML") && !PROGRAM.contains("</script"));
    }
}
