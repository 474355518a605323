/* Count what is written as django_smsww.segments does, whose tables come with the page. */
(() => {
  "use strict";

  const data = document.getElementById("smsww-tables");
  const area = document.querySelector("[data-smsww-count]");
  const box = area && document.getElementById(area.dataset.smswwCount);
  if (!data || !box) {
    return;
  }
  const tables = JSON.parse(data.textContent);
  const basic = new Set(tables.basic);
  const extension = new Set(tables.extension);
  const part = (name) => box.querySelector(`[data-smsww="${name}"]`);

  const isGuilty = (character) => !basic.has(character) && !extension.has(character);

  /* Return the encoding, the number of units, and the text of each segment. */
  function measure(text) {
    const characters = [...text];
    const isUCS2 = characters.some(isGuilty);
    const encoding = isUCS2 ? "UCS-2" : "GSM-7";
    const cost = (one) => (isUCS2 ? one.length : 1 + Number(extension.has(one)));
    const [single, several] = tables.limits[encoding];
    const units = characters.reduce((sum, one) => sum + cost(one), 0);
    const segments = [""];
    let room = units <= single ? single : several;
    for (const one of characters) {
      if (cost(one) > room) {
        segments.push("");
        room = several;
      }
      segments[segments.length - 1] += one;
      room -= cost(one);
    }
    return { encoding, units, segments };
  }

  /* Return the text in plain characters if that makes it GSM-7, else the text itself. */
  function plain(text) {
    const replace = (one) => tables.replacements[one] ?? one;
    const parted = text.normalize("NFC").replace(new RegExp(tables.parting_dash, "gu"), " - ");
    const replaced = [...parted].map(replace).join("");
    const isBetter =
      ![...replaced].some(isGuilty) &&
      measure(replaced).segments.length <= measure(text).segments.length;
    return isBetter ? replaced : text;
  }

  function element(name, className, text) {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text;
    return made;
  }

  function codeOf(character) {
    return `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  }

  function preview(segments) {
    const made = [];
    segments.forEach((text, number) => {
      if (segments.length > 1) {
        made.push(element("span", "smsww-cut", number + 1));
      }
      for (const run of runs(text)) {
        made.push(run.guilty ? element("mark", "smsww-guilty", run.text) : run.text);
      }
    });
    return made;
  }

  function runs(text) {
    const found = [];
    for (const one of text) {
      const guilty = isGuilty(one);
      const last = found.at(-1);
      if (last && last.guilty === guilty) {
        last.text += one;
      } else {
        found.push({ guilty, text: one });
      }
    }
    return found;
  }

  function culprits(text) {
    const guilty = [...new Set([...text].filter(isGuilty))];
    if (!guilty.length) {
      return [];
    }
    const named = guilty.slice(0, 12).flatMap((one) => [
      " ",
      element("mark", "smsww-guilty", one),
      ` ${codeOf(one)}`,
    ]);
    return [box.dataset.culprits, ...named, guilty.length > 12 ? " …" : ""];
  }

  function show() {
    const text = area.value.replaceAll("\r\n", "\n");
    const { encoding, units, segments } = measure(text);
    const said = { encoding, characters: units, segments: segments.length };
    part("size").textContent = box.dataset.size.replace(/{(\w+)}/g, (_, name) => said[name]);
    part("preview").replaceChildren(...preview(segments));
    part("culprits").replaceChildren(...culprits(text));
    part("replace").hidden = plain(text) === text;
    box.hidden = !text;
  }

  part("replace").addEventListener("click", () => {
    area.value = plain(area.value.replaceAll("\r\n", "\n"));
    area.focus();
    show();
  });
  area.addEventListener("input", show);
  show();
})();
