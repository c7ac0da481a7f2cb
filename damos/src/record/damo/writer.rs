//! Writes damo's format.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde_json::json;

use crate::record::model::{Region, Series, Snapshot};
use crate::record::{WriteError, limits};

/// Writes a record that damo renders. One series after the other: each is ended by the next, or by [`finish`](Self::finish), without
/// which the file is not whole.
#[derive(Debug)]
pub struct DamoWriter<W: Write> {
    to: ZlibEncoder<W>,
    text: Vec<u8>,
    series: usize,
    /// No snapshot of the series yet.
    first: bool,
}

impl<W: Write> DamoWriter<W> {
    /// A new record.
    pub fn new(to: W) -> Self {
        Self { to: ZlibEncoder::new(to, Compression::fast()), text: b"[".to_vec(), series: 0, first: true }
    }

    /// Ends the series before it and begins this one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn series(&mut self, series: &Series) -> Result<(), WriteError> {
        if self.series > 0 {
            self.text.extend_from_slice(b"]},\n");
        }
        self.series += 1;
        self.first = true;
        let mut fields = serde_json::to_value(series)?;
        if series.scheme_filters.is_empty() {
            fields["scheme_filters"] = json!([]);
        }
        serde_json::to_writer(&mut self.text, &fields)?;
        self.text.pop();
        self.text.extend_from_slice(b",\"snapshots\":[\n");
        self.flush()
    }

    /// The next snapshot of the series.
    ///
    /// # Errors
    /// When there is no series, when a region is empty, when it cannot be written.
    pub fn snapshot(&mut self, s: &Snapshot) -> Result<(), WriteError> {
        if self.series == 0 {
            return Err(WriteError::NoSeries(0));
        }
        if let Some(r) = s.regions.iter().find(|r| r.end <= r.start) {
            return Err(WriteError::Empty { start: r.start, end: r.end });
        }
        limits::check(s)?;
        if !core::mem::take(&mut self.first) {
            self.text.extend_from_slice(b",\n");
        }
        let out = &mut self.text;
        write!(out, "{{\"start_time\":{},\"end_time\":{}", s.start_ns, s.end_ns)?;
        if let Some(sampling) = s.sampling {
            write!(out, ",\"sample_interval_us\":{}", sampling.as_micros())?;
        }
        if let Some(bytes) = s.total_bytes {
            write!(out, ",\"total_bytes\":{bytes}")?;
        }
        if let Some(t) = &s.stats {
            write!(
                out,
                ",\"damos_stats\":{{\"nr_tried\":{},\"sz_tried\":{},\"nr_applied\":{},\"sz_applied\":{},\
                 \"sz_ops_filter_passed\":{},\"qt_exceeds\":{}}}",
                t.nr_tried, t.sz_tried, t.nr_applied, t.sz_applied, t.sz_ops_filter_passed, t.qt_exceeds
            )?;
        }
        out.extend_from_slice(b",\"regions\":[");
        for (i, r) in s.regions.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            region(out, r)?;
        }
        out.extend_from_slice(b"]}");
        self.flush()
    }

    /// Ends the record.
    ///
    /// # Errors
    /// When the rest cannot be written.
    pub fn finish(mut self) -> Result<W, WriteError> {
        self.text.extend_from_slice(if self.series > 0 { b"]}]\n" } else { b"]\n" });
        self.flush()?;
        Ok(self.to.finish()?)
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        self.to.write_all(&self.text)?;
        self.text.clear();
        Ok(())
    }
}

fn region(out: &mut Vec<u8>, r: &Region) -> Result<(), WriteError> {
    write!(out, "{{\"start\":{},\"end\":{},\"nr_accesses\":{{\"samples\":{},", r.start, r.end, r.nr_accesses)?;
    out.extend_from_slice(b"\"percent\":null},\"age\":{\"usec\":");
    match r.age_us {
        Some(us) => write!(out, "{us}")?,
        None => out.extend_from_slice(b"null"),
    }
    write!(out, ",\"aggr_intervals\":{}}}", r.age)?;
    if r.sz_filter_passed > 0 {
        write!(out, ",\"sz_filter_passed\":{}", r.sz_filter_passed)?;
    }
    if !r.probe_hits.is_empty() {
        out.extend_from_slice(b",\"probe_hits\":");
        serde_json::to_writer(&mut *out, r.probe_hits.as_slice())?;
    }
    for (name, value) in [("nr_samples", r.nr_samples), ("nr_writes", r.nr_writes), ("rate_bp", r.rate.map(|bp| bp.0))]
    {
        if let Some(n) = value {
            write!(out, ",\"{name}\":{n}")?;
        }
    }
    if let Some(sees) = r.sees {
        out.extend_from_slice(b",\"sees\":");
        serde_json::to_writer(&mut *out, &sees)?;
    }
    out.push(b'}');
    Ok(())
}
