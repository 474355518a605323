"""axe-core in the browser of the tests: it looks for what keeps people from using a page."""

from functools import cache
from importlib.resources import files

from selenium import webdriver

# Rules that the templates of Django's own admin break, and the elements that break them.
OF_DJANGO = (
    # Django 5.2 shows links in breadcrumbs by colour alone. Ours are underlined.
    ("link-in-text-block", ".breadcrumbs:not(.smsww-crumbs) a"),
    # "Show all" behind the count of a search.
    ("link-in-text-block", "#toolbar .small a"),
    # The rows that Django asks about before it deletes them.
    ("link-in-text-block", "[class*=delete-] #content li a"),
    # The label of the search box is a picture with an alternative text.
    ("label-title-only", "#searchbar"),
)
RUN = """
const [ofDjango, done] = arguments;
const isOfDjango = (rule, node) => ofDjango.some(
    ([id, selector]) => rule.id === id && node.element.matches(selector));
// Without `preload`, axe would fetch style sheets, and the policy of the tests refuses that.
axe.run(document, {resultTypes: ["violations"], elementRef: true, preload: false}).then(
    found => done(found.violations.flatMap(rule => rule.nodes
        .filter(node => !isOfDjango(rule, node))
        .map(node => [rule.id, node.html.slice(0, 200), node.failureSummary]))),
    error => done([["error", String(error), ""]]),
);
"""


@cache
def _source() -> str:
    # The package carries a current axe-core. Nothing else of it is used.
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def violations(driver: webdriver.Chrome) -> list[list[str]]:
    """Return each broken rule with the element that breaks it, and how to mend it."""
    driver.execute_script(_source())
    return driver.execute_async_script(RUN, OF_DJANGO)
