//! A picture of a trace: hit ratio over size, a line for each cache.

use crate::Row;
use std::fmt::Write;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 32.0;
const BOTTOM: f64 = 40.0;

const COLOURS: [&str; 8] =
    ["#777777", "#1f77b4", "#d62728", "#ff9896", "#2ca02c", "#9467bd", "#8c564b", "#e377c2"];

/// The picture as SVG.
pub fn draw(rows: &[Row], names: &[&str]) -> String {
    let mut svg = String::new();
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return svg };
    let top = rows.iter().flat_map(|row| &row.ratios).fold(1.0_f64, |top, ratio| top.max(*ratio));
    let top = (top / 10.0).ceil() * 10.0;
    let span = (last.percent / first.percent).ln().max(f64::MIN_POSITIVE);
    let x = |percent: f64| LEFT + (percent / first.percent).ln() / span * (WIDTH - LEFT - RIGHT);
    let y = |ratio: f64| HEIGHT - BOTTOM - ratio / top * (HEIGHT - TOP - BOTTOM);
    let mut put = |text: std::fmt::Arguments<'_>| {
        // A string takes all that is written to it.
        let _ = svg.write_fmt(text);
    };
    put(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"18\" font-size=\"14\">{}: hit ratio in % over size in % of the keys</text>\n",
        first.trace
    ));
    for step in 0..=5 {
        let ratio = top * f64::from(step) / 5.0;
        put(format_args!(
            "<path d=\"M{LEFT} {y:.1}H{}\" stroke=\"#dddddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{ratio:.0}</text>\n",
            WIDTH - RIGHT,
            LEFT - 6.0,
            y(ratio) + 4.0,
            y = y(ratio)
        ));
    }
    for row in rows {
        put(format_args!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
            x(row.percent),
            HEIGHT - BOTTOM + 18.0,
            row.percent
        ));
    }
    for (at, name) in names.iter().enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        let width = if *name == "hotcold" { 3 } else { 1 };
        let points: Vec<_> = rows
            .iter()
            .map(|row| format!("{:.1},{:.1}", x(row.percent), y(row.ratios[at])))
            .collect();
        let label = TOP + 10.0 + 18.0 * at as f64;
        put(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>\
             <text x=\"{}\" y=\"{label}\" fill=\"{colour}\">{name}</text>\n",
            points.join(" "),
            WIDTH - RIGHT + 12.0
        ));
    }
    put(format_args!("</svg>\n"));
    svg
}
