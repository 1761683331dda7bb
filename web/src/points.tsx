/** Points: over the picture, and as a list beside it. */

import { useEffect, useMemo, useRef } from "preact/hooks";
import type { Point } from "./api.ts";

const COLOURS = 6;
/** How near to a point a pointer takes it, in pixels of the screen. */
const REACH = 18;

interface Group {
    name: string;
    /** Places in the list of points. */
    places: number[];
}

/** Points whose names differ only in the number at their end belong together: jaw_0, jaw_1, … */
function groupsOf(points: Drawn[]): Group[] {
    const groups = new Map<string, Group>();
    points.forEach((point, place) => {
        const name = /^(.+?)[_ -]?\d+$/.exec(point.name)?.[1] ?? point.name;
        const group = groups.get(name) ?? { name, places: [] };
        group.places.push(place);
        groups.set(name, group);
    });
    return [...groups.values()];
}

/** What is drawn of a point. */
export interface Drawn {
    name: string;
    x: number;
    y: number;
    leftOut?: boolean;
}

interface Choice {
    chosen: number | undefined;
    choose: (point: number | undefined) => void;
}

interface OverlayProps extends Choice {
    points: Drawn[];
    names: boolean;
    /** Moves the chosen point to a place in the picture; none where points are only looked at. */
    move?: ((place: number, x: number, y: number) => void) | undefined;
    width: number;
    height: number;
    /** Pixels on the screen for each of the picture. */
    scale: number;
}

/** Drawn in the picture's own pixels; sizes are those of the screen. The list beside it says the same in words. */
export function Points({ points, chosen, choose, names, move, width, height, scale }: OverlayProps) {
    const groups = useMemo(() => groupsOf(points), [points]);
    const px = 1 / Math.max(scale, 1e-6);
    const colour = (place: number) => groups.findIndex((group) => group.places.includes(place)) % COLOURS;
    const dot = Math.min(4.5, Math.max(2.6, width * scale * 0.007)) * px;
    return (
        <svg
            class={move ? "points movable" : "points"}
            viewBox={`0 0 ${width} ${height}`}
            aria-hidden="true"
            onTouchStart={move && ((event) => nearest(event.touches[0]!, event.currentTarget, { points, width, height, reach: REACH * px }) && event.preventDefault())}
            onPointerDown={move && ((event) => dragPoint(event, { points, choose, move, width, height, reach: REACH * px }))}
        >
            {groups.map((group, index) => (
                <polyline
                    key={group.name}
                    class={`link colour-${index % COLOURS}`}
                    points={group.places.map((place) => `${points[place]!.x},${points[place]!.y}`).join(" ")}
                    stroke-width={1.25 * px}
                />
            ))}
            {points.map((point, place) => (
                <circle
                    key={place}
                    class={`point colour-${colour(place)}${place === chosen ? " chosen" : ""}${point.leftOut ? " left-out" : ""}`}
                    cx={point.x}
                    cy={point.y}
                    r={place === chosen ? dot * 1.7 : dot}
                    stroke-width={1.2 * px}
                    onPointerEnter={move ? undefined : () => choose(place)}
                    onPointerLeave={move ? undefined : () => choose(undefined)}
                />
            ))}
            {points.map((point, place) =>
                names || place === chosen ? (
                    <text
                        key={place}
                        class={place === chosen ? "name chosen" : "name"}
                        x={point.x + (point.x > width * 0.8 ? -7 : 7) * px}
                        y={point.y - 6 * px}
                        text-anchor={point.x > width * 0.8 ? "end" : "start"}
                        font-size={(place === chosen ? 13 : 10) * px}
                        stroke-width={3 * px}
                    >
                        {point.name}
                    </text>
                ) : null,
            )}
        </svg>
    );
}

interface Reach {
    points: Drawn[];
    width: number;
    height: number;
    /** How far a point may be away, in the picture's pixels. */
    reach: number;
}

interface Drag extends Reach {
    choose: (place: number) => void;
    move: (place: number, x: number, y: number) => void;
}

type Somewhere = { clientX: number; clientY: number };

/** Where a pointer is, in the picture's pixels. */
function placeOf({ clientX, clientY }: Somewhere, svg: Element, { width, height }: Reach) {
    const box = svg.getBoundingClientRect();
    return { x: ((clientX - box.left) / box.width) * width, y: ((clientY - box.top) / box.height) * height };
}

/** The point that is nearest to a pointer, if one is near, and where the pointer is. */
function nearest(pointer: Somewhere, svg: Element, within: Reach) {
    const from = placeOf(pointer, svg, within);
    const far = within.points.map(({ x, y }) => Math.hypot(x - from.x, y - from.y));
    const place = far.indexOf(Math.min(...far));
    return place >= 0 && far[place]! <= within.reach ? { place, from } : undefined;
}

/** Takes the point at the pointer and moves it along; a finger that is at none scrolls as ever. */
function dragPoint(start: PointerEvent, { choose, move, ...within }: Drag) {
    const svg = start.currentTarget as SVGSVGElement;
    const taken = nearest(start, svg, within);
    if (!taken) return;
    // The frame is not to move.
    start.stopPropagation();
    start.preventDefault();
    choose(taken.place);
    const { x, y } = within.points[taken.place]!;
    svg.setPointerCapture(start.pointerId);
    const drag = (event: PointerEvent) => {
        const to = placeOf(event, svg, within);
        move(taken.place, x + to.x - taken.from.x, y + to.y - taken.from.y);
    };
    const end = () => {
        svg.removeEventListener("pointermove", drag);
        svg.removeEventListener("pointerup", end);
        svg.removeEventListener("pointercancel", end);
    };
    svg.addEventListener("pointermove", drag);
    svg.addEventListener("pointerup", end);
    svg.addEventListener("pointercancel", end);
}

/** One stop of the tab key; arrow keys walk through the points. */
export function PointList({ points, chosen, choose }: Choice & { points: Point[] }) {
    const list = useRef<HTMLDivElement>(null);
    const groups = useMemo(() => groupsOf(points), [points]);
    const isFocused = () => document.activeElement === list.current;
    useEffect(() => {
        const element = list.current!;
        const row = element.querySelector<HTMLElement>("[aria-selected=true]");
        if (!row || element.matches(":hover")) return;
        // The list alone scrolls, never the page: the pointer may be over the picture.
        const above = row.offsetTop - element.scrollTop;
        const below = above + row.offsetHeight - element.clientHeight;
        if (above < 0) element.scrollTop += above;
        else if (below > 0) element.scrollTop += below;
    }, [chosen]);
    const walk = (event: KeyboardEvent) => {
        const last = points.length - 1;
        const at = chosen ?? -1;
        const next = { ArrowDown: Math.min(at + 1, last), ArrowUp: Math.max(at - 1, 0), Home: 0, End: last }[event.key];
        if (next === undefined) return;
        event.preventDefault();
        choose(next);
    };
    return (
        <div
            class="point-list"
            role="listbox"
            aria-label="Points, with their place in pixels of the picture"
            tabIndex={0}
            ref={list}
            aria-activedescendant={chosen === undefined ? undefined : `point-${chosen}`}
            onKeyDown={walk}
            onFocus={() => chosen ?? choose(0)}
            onBlur={() => choose(undefined)}
            onPointerLeave={() => isFocused() || choose(undefined)}
        >
            {groups.map((group, index) => (
                <div key={group.name} role="group" aria-label={group.name}>
                    {group.places.map((place) => {
                        const point = points[place]!;
                        return (
                            <div
                                key={place}
                                id={`point-${place}`}
                                role="option"
                                aria-selected={place === chosen}
                                onPointerEnter={() => choose(place)}
                            >
                                <i class={`swatch colour-${index % COLOURS}`} />
                                <span class="point-name">{point.name}</span>
                                <span class="number">{point.x.toFixed(1)}</span>
                                <span class="number">{point.y.toFixed(1)}</span>
                                {!point.in_frame && <span class="outside">outside the picture</span>}
                            </div>
                        );
                    })}
                </div>
            ))}
        </div>
    );
}
