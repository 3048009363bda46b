// Build the world map and the country names that the report uses.
//
//     npm install --no-save world-atlas@2.0.2 d3-geo@3.1.2 topojson-client@3.1.0 topojson-simplify@3.0.3 i18n-iso-countries@7.14.0
//     node tools/build_map.mjs
//
// Writes src/snapshots/adapters/html/data/world.json (outlines by ISO 3166-1 alpha-2 code, in a frame of 960 by 480
// units; a point for each country that is too small to be seen; the place of its label) and
// src/snapshots/app/queries/country_names.py. The outlines are Natural Earth's (public domain), packaged by world-atlas
// (ISC); the names are those of i18n-iso-countries (MIT), which lists several for most countries.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.cwd(), "node_modules/"));
const { geoNaturalEarth1, geoPath } = await import(require.resolve("d3-geo"));
const { feature } = await import(require.resolve("topojson-client"));
const { presimplify, simplify } = await import(require.resolve("topojson-simplify"));
const names = require("i18n-iso-countries/langs/en.json").countries;
const codes = require("i18n-iso-countries/codes.json");

const WIDTH = 960, HEIGHT = 480;
const DETAIL = 0.1; // square degrees: a smaller bend of a coast is left out
const SLIVER = 0.8; // square units: a smaller island of a country is left out
const SMALL = 4; // square units: a smaller country gets a point
const ANTARCTICA = "AQ";
// Natural Earth has no numeric code for these two.
const UNCODED = { Kosovo: "XK", "N. Cyprus": "CY", Somaliland: "SO" };
// The name that is shown, where the shortest of a country's names is not the usual one.
const SHOWN = {
  BO: "Bolivia", CD: "DR Congo", CG: "Congo", CI: "Côte d'Ivoire", FK: "Falkland Islands", FM: "Micronesia",
  GB: "United Kingdom", GM: "Gambia", LA: "Laos", MK: "North Macedonia", MD: "Moldova", PS: "Palestine", SY: "Syria",
  TZ: "Tanzania", US: "United States", VA: "Vatican City", VE: "Venezuela", BN: "Brunei", NL: "Netherlands",
  TR: "Turkey", AE: "United Arab Emirates", SH: "Saint Helena", CZ: "Czechia", SZ: "Eswatini", CV: "Cape Verde",
};

const byNumber = Object.fromEntries(codes.map(([alpha2, , numeric]) => [numeric, alpha2]));
let topology = JSON.parse(readFileSync(require.resolve("world-atlas/countries-50m.json")));
topology = simplify(presimplify(topology), DETAIL);
const features = feature(topology, topology.objects.countries).features;
const drawn = features.filter((each) => byNumber[each.id] !== ANTARCTICA);
const projection = geoNaturalEarth1().fitSize([WIDTH, HEIGHT], { type: "FeatureCollection", features: drawn });
const path = geoPath(projection).digits(1);

const polygonsOf = ({ geometry }) =>
  (geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates).map((coordinates) => {
    const polygon = { type: "Polygon", coordinates };
    return { polygon, area: geoPath(projection).area(polygon) };
  });

const world = {};
for (const each of drawn) {
  const code = byNumber[each.id] ?? UNCODED[each.properties.name];
  if (!code) continue;
  const polygons = polygonsOf(each).sort((a, b) => b.area - a.area);
  const seen = polygons.filter(({ area }, index) => index === 0 || area >= SLIVER);
  const coordinates = seen.map(({ polygon }) => polygon.coordinates);
  const country = (world[code] ??= { area: 0, path: "", label: null });
  country.path += path({ type: "MultiPolygon", coordinates }) ?? "";
  if (polygons[0].area > country.area || country.label === null) {
    country.area = polygons[0].area;
    country.label = path.centroid(polygons[0].polygon).map((value) => Math.round(value));
  }
}
const map = {};
for (const code of Object.keys(world).sort()) {
  const { area, path: outline, label } = world[code];
  map[code] = { path: outline, label, small: area < SMALL };
}
writeFileSync("src/snapshots/adapters/html/data/world.json", JSON.stringify(map).replaceAll('},"', '},\n"') + "\n");

const usual = (code, all) => SHOWN[code] ?? all.filter((name) => name.length > 3).sort((a, b) => a.length - b.length)[0];
const lines = Object.keys(names).sort().map((code) => {
  const all = [names[code]].flat();
  const shown = usual(code, all);
  const others = all.filter((name) => name !== shown && name !== code);
  const quoted = [shown, ...others].map((name) => JSON.stringify(name));
  return [code, quoted];
});
let python = `"""English names of countries by ISO 3166-1 alpha-2 code; built by tools/build_map.mjs."""

from collections.abc import Mapping

COUNTRY_NAMES: Mapping[str, tuple[str, ...]] = {
`;
for (const [code, quoted] of lines) python += `    "${code}": (${quoted.join(", ")}${quoted.length === 1 ? "," : ""}),\n`;
python += `}
"""The names of each country, the usual one first."""
`;
writeFileSync("src/snapshots/app/queries/country_names.py", python);
console.log(Object.keys(map).length, "countries on the map,", lines.length, "names");
