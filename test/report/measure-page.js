/** Runs in a page that holds the report in a frame: sets the frame's width, measures, and leaves what it saw as base64 of JSON. */
// oxlint-disable-next-line no-unused-vars -- browser.test.ts calls it in the page
function measure(widths) {
  const frame = document.querySelector('iframe')
  const page = frame.contentDocument
  const rights = elements => elements.map(element => element.getBoundingClientRect().right)
  const results = widths.map(width => {
    frame.style.width = `${width}px`
    const outside = [...page.querySelectorAll('body *')].filter(element => !element.closest('svg'))
    return {
      width,
      reach: Math.max(page.documentElement.scrollWidth, ...rights(outside)),
      scripts: page.querySelectorAll('script, img, [onload], [onerror]').length,
      pwned: 'pwned' in window || 'pwned' in frame.contentWindow,
      drills: [...page.querySelectorAll('figure.whole')].map(drillIn),
      cut: [...page.querySelectorAll('.timeline svg')].flatMap(cutTexts),
    }
  })
  const out = document.createElement('pre')
  out.id = 'measured'
  out.textContent = btoa(unescape(encodeURIComponent(JSON.stringify(results))))
  document.body.append(out)
}

function drillIn(figure) {
  const failed = [...figure.querySelectorAll('.probes rect.failed title')].map(title => /^(\d+) failed/.exec(title.textContent)?.[1] ?? 1)
  return {
    lanes: [...figure.querySelectorAll('g.lane')].map(lane => lane.getAttribute('data-server')),
    bands: [...figure.querySelectorAll('.timeline rect.outage')].map(band => band.getBoundingClientRect().width),
    marks: figure.querySelectorAll('line.mark').length,
    failedProbes: failed.reduce((sum, count) => sum + Number(count), 0),
  }
}

/** Texts that stick out of their drawing; one that is not shown at this width has no size. */
function cutTexts(svg) {
  const box = svg.getBoundingClientRect()
  return [...svg.querySelectorAll('text')].flatMap(text => {
    const at = text.getBoundingClientRect()
    const fits = at.width === 0 || (at.left >= box.left - 1 && at.right <= box.right + 1 && at.bottom <= box.bottom + 1)
    return fits ? [] : [`${text.textContent}: ${at.left - box.left} to ${at.right - box.left} of ${box.width}`]
  })
}
