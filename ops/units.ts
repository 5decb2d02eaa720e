const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** `1,234,567`. */
export const count = (value: number): string => grouped.format(value);

/** At most five characters: `950`, `12.3k`, `1.2M`, `340M`. */
export function compact(value: number): string {
  const units = ['', 'k', 'M', 'G', 'T'];
  let scaled = value;
  let unit = 0;
  while (Math.round(scaled) >= 1000 && unit < units.length - 1) {
    scaled /= 1000;
    unit++;
  }
  const digits = unit > 0 && scaled < 99.95 ? 1 : 0;
  return `${scaled.toFixed(digits)}${units[unit]}`;
}

/** `12.3 MB`, in powers of 1000. */
export function bytes(value: number): string {
  const text = compact(value);
  const unit = /[kMGT]$/.exec(text)?.[0];
  return unit === undefined ? `${text} B` : `${text.slice(0, -1)} ${unit}B`;
}

/** `0:07`, `12:34`, `3:02:01`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (part: number) => String(part).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** `61%`; never 100% before it is over. */
export const percent = (fraction: number): string => `${Math.floor(fraction * 100 + 1e-9)}%`;

/** Local time of day, `12:04:31`. */
export const timeOfDay = (at: Date): string => at.toTimeString().slice(0, 8);

/** `1 batch`, `2 batches`. */
export const plural = (n: number, one: string, many = `${one}s`): string =>
  `${count(n)} ${n === 1 ? one : many}`;
