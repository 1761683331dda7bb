/** The picture, with points drawn over it; it can be made larger, and then moved. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Icon } from "./icons.tsx";
import type { Picture } from "./pictures.ts";
import { type Drawn, Points } from "./points.tsx";

const ZOOMS = [1, 1.5, 2, 3, 4, 6, 8];

interface Props {
    picture: Picture;
    points: Drawn[] | undefined;
    /** The picture's size as the server saw it. */
    size: { width: number; height: number } | undefined;
    chosen: number | undefined;
    choose: (point: number | undefined) => void;
    names: boolean;
    waiting: boolean;
    /** Moves a point; none where points are only looked at. */
    move?: (place: number, x: number, y: number) => void;
}

export function Viewer({ picture, points, size, chosen, choose, names, waiting, move }: Props) {
    const [zoom, setZoom] = useState(1);
    const [natural, setNatural] = useState<{ width: number; height: number }>();
    const [broken, setBroken] = useState(false);
    const [room, setRoom] = useState({ width: 1, height: 1 });
    const frame = useRef<HTMLDivElement>(null);
    /** What was at the middle before the size changed, as shares of the whole. */
    const kept = useRef({ x: 0.5, y: 0.5 });
    const full = size ?? natural;

    useLayoutEffect(() => {
        const element = frame.current!;
        const observer = new ResizeObserver(() => {
            setRoom({ width: element.clientWidth, height: element.clientHeight });
        });
        observer.observe(element);
        return () => observer.disconnect();
    }, []);

    const fit = full ? Math.min(room.width / full.width, room.height / full.height, 4) : 0;
    const scale = fit * zoom;
    const shown = full && { width: full.width * scale, height: full.height * scale };

    /** Zooms, and keeps what is at the middle there. */
    const zoomTo = (next: number) => {
        const element = frame.current;
        if (!element || next === zoom) return;
        const middle = (scroll: number, client: number, whole: number) => (scroll + client / 2) / Math.max(whole, 1);
        kept.current = {
            x: middle(element.scrollLeft, element.clientWidth, element.scrollWidth),
            y: middle(element.scrollTop, element.clientHeight, element.scrollHeight),
        };
        setZoom(next);
    };
    useLayoutEffect(() => {
        const element = frame.current!;
        element.scrollLeft = kept.current.x * element.scrollWidth - element.clientWidth / 2;
        element.scrollTop = kept.current.y * element.scrollHeight - element.clientHeight / 2;
    }, [zoom]);
    const step = (by: number) => zoomTo(ZOOMS[ZOOMS.indexOf(zoom) + by] ?? zoom);
    const keys = (event: KeyboardEvent) => {
        const by = { "+": 1, "=": 1, "-": -1 }[event.key];
        if (by) step(by);
        else if (event.key === "0") zoomTo(1);
        else return;
        event.preventDefault();
    };
    const description = points ? `${picture.name}, with ${points.length} points` : picture.name;
    return (
        <div class="viewer">
            <div
                class={`frame${zoom > 1 ? " zoomed" : ""}`}
                ref={frame}
                style={full && { aspectRatio: `${full.width} / ${full.height}` }}
                tabIndex={0}
                role="group"
                aria-label={`${description}. Plus and minus change its size${move ? "" : ", arrow keys move it"}.`}
                onKeyDown={keys}
                onDblClick={() => zoomTo(zoom > 1 ? 1 : 2)}
                onPointerDown={(event) => zoom > 1 && event.pointerType === "mouse" && drag(event, frame.current!)}
            >
                {broken ? (
                    <p class="no-preview">
                        <Icon name="picture" />
                        {picture.name}
                        <span>Your browser cannot show this file.</span>
                    </p>
                ) : (
                    <div class="sheet" style={shown && { width: `${shown.width}px`, height: `${shown.height}px` }}>
                        <img
                            src={picture.url}
                            alt={description}
                            draggable={false}
                            onError={() => setBroken(true)}
                            onLoad={(event) => {
                                const { naturalWidth: width, naturalHeight: height } = event.currentTarget;
                                setNatural({ width, height });
                            }}
                        />
                        {points && full && (
                            <Points {...{ points, chosen, choose, names, scale, move }} width={full.width} height={full.height} />
                        )}
                    </div>
                )}
            </div>
            {waiting && <span class="working" aria-hidden="true" />}
            <div class="zoom" role="group" aria-label="Size of the picture">
                <button type="button" aria-label="Smaller" disabled={zoom === ZOOMS[0]} onClick={() => step(-1)}>
                    <Icon name="minus" />
                </button>
                <button type="button" aria-label={`${Math.round(zoom * 100)} %, whole picture`} onClick={() => zoomTo(1)}>
                    {Math.round(zoom * 100)} %
                </button>
                <button type="button" aria-label="Larger" disabled={zoom === ZOOMS.at(-1)} onClick={() => step(1)}>
                    <Icon name="plus" />
                </button>
            </div>
        </div>
    );
}

/** Moves what a frame shows along with the mouse; fingers scroll it by themselves. */
function drag(start: PointerEvent, frame: HTMLElement) {
    const from = { left: frame.scrollLeft, top: frame.scrollTop };
    const move = (event: PointerEvent) => {
        frame.scrollLeft = from.left + start.clientX - event.clientX;
        frame.scrollTop = from.top + start.clientY - event.clientY;
    };
    const end = () => {
        document.removeEventListener("pointermove", move);
        document.removeEventListener("pointerup", end);
        document.removeEventListener("pointercancel", end);
    };
    document.addEventListener("pointermove", move);
    document.addEventListener("pointerup", end);
    document.addEventListener("pointercancel", end);
}
