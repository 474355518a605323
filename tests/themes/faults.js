// Return what a person could not read or see of the parts of the page that are ours.
const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

function rgba(colour) {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
}

function over([r, g, b, alpha], below) {
    const mix = (top, under) => (top * alpha + under * (255 - alpha)) / 255;
    return [mix(r, below[0]), mix(g, below[1]), mix(b, below[2]), 255];
}

function ground(element) {
    if (!element) return rgba("Canvas");
    const own = rgba(getComputedStyle(element).backgroundColor);
    return own[3] === 255 ? own : over(own, ground(element.parentElement));
}

function light(colour) {
    const [r, g, b] = colour.map((each) => {
        const part = each / 255;
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

// As the Web Content Accessibility Guidelines define it: 1 to 21.
function contrast(colour, below) {
    const [dark, bright] = [light(over(rgba(colour), below)), light(below)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
}

const faults = [];
function want(holds, fault, element) {
    if (!holds) faults.push(`${fault}: ${element.outerHTML.slice(0, 120)}`);
}

function isShown(element) {
    const box = element.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && element.checkVisibility();
}

const ours = ':is([class^="smsww-"], [class*=" smsww-"])';
for (const element of document.querySelectorAll(`${ours}, ${ours} *`)) {
    if (!isShown(element) || element.closest("a:not(.button)")) continue; // links are the theme's
    const style = getComputedStyle(element);
    if (style.backgroundImage !== "none") continue; // so are colours that run into each other
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    const isButton = element.matches("button, .button, input[type=submit]");
    if (hasText || isButton) {
        const ink = element.closest("svg") ? style.fill : style.color;
        want(contrast(ink, ground(element)) >= (isButton ? 2 : 4), "text is hard to read", element);
    }
    if (isButton) want(element.scrollWidth <= element.clientWidth + 2, "text is cut", element);
    const isInput = element.matches("select, textarea, input:not([type=checkbox], [type=radio], [type=file])");
    if (isInput || isButton) {
        const around = ground(element.parentElement);
        const hasEdge = parseFloat(style.borderTopWidth) && contrast(style.borderTopColor, around) > 1.2;
        want(hasEdge || contrast(style.backgroundColor, around) > 1.2, "cannot be seen", element);
    }
}
for (const svg of document.querySelectorAll(".smsww-plot svg[role=img]")) {
    const below = ground(svg);
    for (const paper of document.querySelectorAll(".smsww-fill-paper"))
        want(contrast(getComputedStyle(paper).fill, below) < 2, "paper is dark", paper);
    for (const ink of document.querySelectorAll('[class^="smsww-ink-"], .smsww-line'))
        want(contrast(getComputedStyle(ink).stroke, below) >= 3, "line is faint", ink);
}
return [...new Set(faults)];
