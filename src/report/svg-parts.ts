/** The parts that every row of a timeline is drawn with: times in percent of the frame, everything else in px. */
import type { Span } from './lanes.ts'
import { escapeMarkup, formatOffset } from './text.ts'

export interface Frame {
  readonly fromMs: number
  readonly toMs: number
}

export const LABELS_PX = 84
/** About as wide as a letter is. */
export const LETTER_PX = 6.5

/** One row of the drawing: its name on the left, its marks on the right, both below `y`. */
export interface Row {
  readonly height: number
  label(y: number): string
  plot(y: number): string
}

export interface Scale {
  /** Within the frame, in percent. */
  readonly x: (ms: number) => string
  /** In percent; it may be outside the frame. */
  readonly at: (ms: number) => number
  readonly isInside: (fromMs: number, toMs: number) => boolean
  readonly frame: Frame
}

export function round(value: number): number {
  return Math.round(value * 100) / 100
}

/** A rectangle from one time to another. It is as wide as its time, but never too narrow to be seen. */
export function bar(scale: Scale, span: Frame, y: number, height: number, className: string, tip: string): string {
  const from = Math.max(0, scale.at(span.fromMs))
  const width = Math.max(0.35, Math.min(100, scale.at(span.toMs)) - from)
  const title = tip === '' ? '' : `<title>${escapeMarkup(tip)}</title>`
  return `<rect class="${className}" x="${round(Math.min(from, 99.65))}%" y="${y}" width="${round(width)}%" height="${height}">${title}</rect>`
}

export function text(className: string, x: string, y: number, anchor: 'start' | 'middle' | 'end', content: string): string {
  return `<text class="${className}" x="${x}" y="${y}" text-anchor="${anchor}">${escapeMarkup(content)}</text>`
}

/** Text beside a place: to its right, or to its left where it would run out of the drawing. */
export function beside(scale: Scale, ms: number, y: number, className: string, content: string): string {
  const isLate = scale.at(ms) > 55
  return `<text class="${className}" x="${scale.x(ms)}" dx="${isLate ? -5 : 5}" y="${y}" text-anchor="${isLate ? 'end' : 'start'}">${escapeMarkup(content)}</text>`
}

export function nameOf(className: string, y: number, name: string): string {
  const room = Math.floor(LABELS_PX / LETTER_PX)
  const shown = name.length > room ? `${name.slice(0, room - 1)}…` : name
  return text(className, '0', y, 'start', shown)
}

export function visible(scale: Scale, spans: readonly Span[]): readonly Span[] {
  return spans.filter(span => scale.isInside(span.fromMs, span.toMs))
}

export function period({ fromMs, toMs }: Frame): string {
  return `${formatOffset(fromMs)} to ${formatOffset(toMs)}`
}
