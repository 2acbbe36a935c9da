"""Whether every visitor can read a page: axe-core's findings, and texts that overlap."""

from pathlib import Path


def serious(page) -> list[str]:
    """The serious and critical accessibility violations that axe-core finds."""
    import axe_playwright_python

    script = Path(axe_playwright_python.__file__).with_name("axe.min.js")
    page.evaluate(script.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {node['target']} {node['html'][:120]}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


_OVERLAPS = """() => {
  const shown = (element, box) => {  // the part of a box that no ancestor cuts off
    for (let one = element; one && one !== document.body; one = one.parentElement) {
      const style = getComputedStyle(one);
      if (style.visibility === 'hidden' || style.opacity === '0' || style.clipPath !== 'none')
        return null;
      if (style.overflowX === 'visible' && style.overflowY === 'visible') continue;
      const edge = one.getBoundingClientRect();
      box = { left: Math.max(box.left, edge.left), right: Math.min(box.right, edge.right),
              top: Math.max(box.top, edge.top), bottom: Math.min(box.bottom, edge.bottom) };
    }
    return box.right - box.left > 3 && box.bottom - box.top > 3 ? box : null;
  };
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const parent = walker.currentNode.parentElement;
    if (!text || parent.closest('script, style, option, .toast-wrap')) continue;
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    for (const rect of range.getClientRects()) {
      const box = shown(parent, rect);
      if (box) texts.push([box, text.slice(0, 40), parent]);
    }
  }
  const found = [];
  texts.forEach(([one, text, parent], place) => {
    for (const [other, words, owner] of texts.slice(place + 1)) {
      const width = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      const height = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
      if (width > 3 && height > 5 && parent !== owner) found.push(`${text} / ${words}`);
    }
  });
  return found;
}"""


def overlapping(page) -> list[str]:
    """Pairs of visible texts of which one lies on the other."""
    return page.evaluate(_OVERLAPS)
