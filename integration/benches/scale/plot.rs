//! Cost over cluster size.

use std::path::Path;

use plotters::prelude::*;

use super::Outcome;
use super::report::Measured;

const SIZE: (u32, u32) = (860, 420);

/// Draws the processor time of each kind of event over the number of pods, as SVG.
pub(crate) fn draw(file: &Path, measured: &[Measured]) -> Outcome {
    let pods = |measured: &Measured| f64::from(measured.pods);
    let (first, last) = (measured.first().ok_or("nothing was measured")?, measured.last().ok_or("nothing")?);
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption("CPU an event over the size of the cluster (mean)", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d((pods(first)..pods(last)).log_scale(), (0.01..10.0).log_scale())?;
    chart.configure_mesh().x_desc("pods").y_desc("ms").light_line_style(TRANSPARENT).draw()?;
    for (nth, event) in first.events.iter().enumerate() {
        let color = Palette99::pick(nth).to_rgba();
        let points: Vec<_> = measured.iter().map(|measured| (pods(measured), measured.events[nth].cpu.mean)).collect();
        chart
            .draw_series(LineSeries::new(points.clone(), color.stroke_width(2)))?
            .label(&event.kind)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
        chart.draw_series(points.into_iter().map(|point| Circle::new(point, 3, color.filled())))?;
    }
    chart.configure_series_labels().background_style(WHITE).border_style(BLACK).draw()?;
    root.present()?;
    println!("\ndrawn: {}", file.display());
    Ok(())
}
