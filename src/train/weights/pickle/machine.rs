//! The stack machine: pickle protocols 2 to 5 without their means to call or import.
//!
//! Operations are those of Python's `pickletools`, by their codes.

use std::collections::HashMap;

use super::{Global, Pickle, Ref, Storage, Tensor, Value, reader::Reader};

/// Operations, and elements copied by them, that one pickle may have. The state dict of a ResNet-101 takes 25,000.
const MOST_OPERATIONS: usize = 1_000_000;
/// Dimensions that a tensor may have.
const MOST_DIMENSIONS: usize = 16;

/// Runs one pickle, which may have other data after it.
///
/// # Errors
/// A name off the list, an operation that no state dict needs, or a pickle that breaks off or contradicts itself.
pub(in super::super) fn read(bytes: &[u8]) -> Result<Pickle, String> {
    let mut machine = Machine {
        reader: Reader::new(bytes),
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        budget: MOST_OPERATIONS,
    };
    while machine.step()? {}
    let root = machine.pop()?;
    Ok(Pickle { root, length: machine.reader.place(), values: machine.values })
}

struct Machine<'a> {
    reader: Reader<'a>,
    /// Everything built so far.
    values: Vec<Value>,
    stack: Vec<Ref>,
    /// Heights of the stack where groups begin.
    marks: Vec<usize>,
    /// Values by the number that the pickle gave them.
    memo: HashMap<u64, Ref>,
    /// What is left of [`MOST_OPERATIONS`].
    budget: usize,
}

impl Machine<'_> {
    /// Runs one operation; false at the last one.
    fn step(&mut self) -> Result<bool, String> {
        self.spend(1)?;
        let place = self.reader.place();
        let code = self.reader.byte()?;
        match code {
            b'.' => return Ok(false),
            // PROTO and FRAME say nothing that is needed.
            0x80 => _ = self.reader.byte()?,
            0x95 => _ = self.reader.number(8)?,
            b'(' => self.marks.push(self.stack.len()),
            b'0' => _ = self.pop()?,
            b'1' => _ = self.group()?,
            b'N' | 0x88 | 0x89 | b'J' | b'K' | b'M' | 0x8a | 0x8b | b'G' => self.scalar(code)?,
            b'X' | b'T' | b'U' | 0x8c | 0x8d | b'B' | b'C' | 0x8e => self.text(code)?,
            b')' | b't' | 0x85..=0x87 | b']' | b'l' | b'}' | b'd' => self.container(code)?,
            b'a' | b'e' | b's' | b'u' => self.extend(code)?,
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.remember(code)?,
            b'c' | 0x93 => self.global(code)?,
            b'Q' => self.persistent()?,
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            _ => {
                return Err(format!(
                    "the pickle in the file has the operation {code:#04x} at byte {place}, which no state dict needs"
                ));
            }
        }
        Ok(true)
    }

    fn spend(&mut self, count: usize) -> Result<(), String> {
        self.budget =
            self.budget.checked_sub(count).ok_or("the pickle in the file is far longer than a state dict's")?;
        Ok(())
    }

    fn push(&mut self, value: Value) {
        // The budget keeps the number of values far below 2³².
        self.stack.push(Ref(self.values.len() as u32));
        self.values.push(value);
    }

    /// The value on top; never one below the last mark.
    fn pop(&mut self) -> Result<Ref, String> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= bottom {
            return Err(contradiction());
        }
        self.stack.pop().ok_or_else(contradiction)
    }

    /// The value on top, which stays.
    fn top(&mut self) -> Result<Ref, String> {
        let top = self.pop()?;
        self.stack.push(top);
        Ok(top)
    }

    /// Everything above the last mark, which goes with it.
    fn group(&mut self) -> Result<Vec<Ref>, String> {
        let mark = self.marks.pop().ok_or_else(contradiction)?;
        Ok(self.stack.split_off(mark))
    }

    fn value(&self, place: Ref) -> &Value {
        self.values.get(place.0 as usize).unwrap_or(&Value::None)
    }

    fn scalar(&mut self, code: u8) -> Result<(), String> {
        let value = match code {
            b'N' => Value::None,
            0x88 | 0x89 => Value::Bool(code == 0x88),
            b'J' => Value::Int(i128::from(self.reader.number(4)? as u32 as i32)),
            b'K' => Value::Int(self.reader.number(1)?.into()),
            b'M' => Value::Int(self.reader.number(2)?.into()),
            0x8a => Value::Int(self.reader.long(1)?),
            0x8b => Value::Int(self.reader.long(4)?),
            _ => {
                self.reader.take(8)?;
                Value::Float
            }
        };
        self.push(value);
        Ok(())
    }

    fn text(&mut self, code: u8) -> Result<(), String> {
        let value = match code {
            b'X' | b'T' => Value::Text(self.reader.text(4)?),
            b'U' | 0x8c => Value::Text(self.reader.text(1)?),
            0x8d => Value::Text(self.reader.text(8)?),
            _ => {
                let width = if code == b'B' {
                    4
                } else if code == b'C' {
                    1
                } else {
                    8
                };
                self.reader.counted(width)?;
                Value::Bytes
            }
        };
        self.push(value);
        Ok(())
    }

    fn container(&mut self, code: u8) -> Result<(), String> {
        let value = match code {
            b')' => Value::Tuple(Vec::new()),
            b't' => Value::Tuple(self.group()?),
            0x85..=0x87 => {
                let mut items = (0x85..=code).map(|_| self.pop()).collect::<Result<Vec<Ref>, String>>()?;
                items.reverse();
                Value::Tuple(items)
            }
            b']' => Value::List(Vec::new()),
            b'l' => Value::List(self.group()?),
            b'}' => Value::Dict(Vec::new()),
            _ => Value::Dict(pairs(&self.group()?)?),
        };
        self.push(value);
        Ok(())
    }

    /// Adds what is on top of the stack to the list or dict below it.
    fn extend(&mut self, code: u8) -> Result<(), String> {
        let items = match code {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.group()?,
        };
        let target = self.top()?;
        match self.values.get_mut(target.0 as usize) {
            Some(Value::List(list)) if matches!(code, b'a' | b'e') => list.extend(items),
            Some(Value::Dict(dict)) if matches!(code, b's' | b'u') => dict.extend(pairs(&items)?),
            _ => return Err(contradiction()),
        }
        Ok(())
    }

    /// Gives the value on top a number, or brings one back by its number.
    fn remember(&mut self, code: u8) -> Result<(), String> {
        let number = match code {
            b'q' | b'h' => self.reader.number(1)?,
            b'r' | b'j' => self.reader.number(4)?,
            _ => self.memo.len() as u64,
        };
        if matches!(code, b'h' | b'j') {
            let place = *self.memo.get(&number).ok_or_else(contradiction)?;
            self.stack.push(place);
        } else {
            let top = self.top()?;
            self.memo.insert(number, top);
        }
        Ok(())
    }

    fn global(&mut self, code: u8) -> Result<(), String> {
        let global = if code == b'c' {
            Global::of(self.reader.line()?, self.reader.line()?)?
        } else {
            let (name, module) = (self.pop()?, self.pop()?);
            match (self.value(module), self.value(name)) {
                (Value::Text(module), Value::Text(name)) => Global::of(module, name)?,
                _ => return Err(contradiction()),
            }
        };
        self.push(Value::Global(global));
        Ok(())
    }

    /// PyTorch's persistent id of a storage: ('storage', class, key, device, number of elements).
    fn persistent(&mut self) -> Result<(), String> {
        let id = self.pop()?;
        let storage = match self.tuple(id)? {
            &[kind, class, key, _device, count, ref rest @ ..] => {
                let view = rest.iter().any(|&place| *self.value(place) != Value::None);
                match (self.value(kind), self.value(class), self.value(key)) {
                    (Value::Text(kind), Value::Global(Global::Storage(element)), Value::Text(_))
                        if kind == "storage" && !view =>
                    {
                        Some(Storage { element: *element, key, count: self.size(count)? })
                    }
                    _ => None,
                }
            }
            _ => None,
        };
        let storage = storage.ok_or("the file refers to something that is not a plain storage of numbers")?;
        self.push(Value::Storage(storage));
        Ok(())
    }

    /// What a call of a function or class of the list gives.
    fn reduce(&mut self) -> Result<(), String> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let value = match (self.value(callee), self.tuple(arguments)?) {
            (Value::Global(Global::OrderedDict), []) => Value::Dict(Vec::new()),
            (Value::Global(Global::OrderedDict), &[items]) => self.ordered_dict(items)?,
            (Value::Global(Global::RebuildTensor), &[storage, offset, shape, strides, ..]) => {
                let Value::Storage(storage) = *self.value(storage) else { return Err(contradiction()) };
                let (offset, shape, strides) = (self.size(offset)?, self.sizes(shape)?, self.sizes(strides)?);
                Value::Tensor(Box::new(Tensor { storage, offset, shape, strides }))
            }
            (Value::Global(Global::RebuildParameter), &[tensor, ..]) => match self.value(tensor) {
                Value::Tensor(tensor) => Value::Tensor(tensor.clone()),
                _ => return Err(contradiction()),
            },
            _ => return Err(contradiction()),
        };
        self.push(value);
        Ok(())
    }

    /// An OrderedDict of a list of pairs, as Python 2 writes it.
    fn ordered_dict(&mut self, items: Ref) -> Result<Value, String> {
        let Value::List(items) = self.value(items) else { return Err(contradiction()) };
        let pair = |&item: &Ref| match self.value(item) {
            Value::Tuple(pair) | Value::List(pair) if pair.len() == 2 => Ok((pair[0], pair[1])),
            _ => Err(contradiction()),
        };
        let count = items.len();
        let dict = items.iter().map(pair).collect::<Result<Vec<_>, String>>()?;
        self.spend(count)?;
        Ok(Value::Dict(dict))
    }

    /// Attributes of an OrderedDict, such as the `_metadata` of a state dict, are passed over.
    fn build(&mut self) -> Result<(), String> {
        self.pop()?;
        let target = self.top()?;
        if matches!(self.value(target), Value::Dict(_)) { Ok(()) } else { Err(contradiction()) }
    }

    fn tuple(&self, place: Ref) -> Result<&[Ref], String> {
        if let Value::Tuple(items) = self.value(place) { Ok(items) } else { Err(contradiction()) }
    }

    /// A number of elements.
    fn size(&self, place: Ref) -> Result<usize, String> {
        let Value::Int(number) = self.value(place) else { return Err(contradiction()) };
        usize::try_from(*number).map_err(|_| format!("a tensor in the file has the impossible size {number}"))
    }

    fn sizes(&self, place: Ref) -> Result<Vec<usize>, String> {
        let items = self.tuple(place)?;
        if items.len() > MOST_DIMENSIONS {
            return Err(format!("a tensor in the file has {} dimensions", items.len()));
        }
        items.iter().map(|&item| self.size(item)).collect()
    }
}

fn pairs(items: &[Ref]) -> Result<Vec<(Ref, Ref)>, String> {
    let (pairs, []) = items.as_chunks::<2>() else { return Err(contradiction()) };
    Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
}

fn contradiction() -> String {
    "the pickle in the file contradicts itself".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_anything_else_is_refused_by_its_name() {
        // os.system("touch …") as protocol 0 and as protocol 4 import it.
        let lines = b"cposix\nsystem\nX\x05\0\0\0touch\x85R.";
        let texts = b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x05touch\x85R.";
        for pickle in [&lines[..], &texts[..]] {
            let message = read(pickle).unwrap_err();
            assert!(message.contains("wants to run posix.system"), "{message}");
            assert!(message.contains("torch.save(model.state_dict()"), "{message}");
        }
    }

    #[test]
    fn ints_are_read_with_their_sign() {
        for (bytes, wanted) in [
            (&b"J\xff\xff\xff\xff."[..], -1),
            (b"K\xff.", 255),
            (b"M\x01\x02.", 513),
            (b"\x8a\x02\x00\xff.", -256),
            (b"\x8a\x00.", 0),
        ] {
            let pickle = read(bytes).unwrap();
            assert_eq!(*pickle.value(pickle.root), Value::Int(wanted));
            assert_eq!(pickle.length, bytes.len());
        }
    }

    #[test]
    fn a_list_that_holds_itself_is_read_and_dropped() {
        let pickle = read(b"]q\0h\0a.").unwrap();
        assert_eq!(*pickle.value(pickle.root), Value::List(vec![pickle.root]));
    }

    #[test]
    fn nesting_without_end_is_read_without_recursion() {
        let deep = [vec![b']'; 200_000], vec![b'a'; 199_999], vec![b'.']].concat();
        assert!(matches!(read(&deep).unwrap().value(Ref(0)), Value::List(_)));
    }

    #[test]
    fn more_operations_than_any_state_dict_has_are_refused() {
        let message = read(&vec![b'N'; 2_000_000]).unwrap_err();
        assert!(message.contains("far longer"), "{message}");
        // One list of 1000 pairs, made into a dict again and again.
        let pairs = b"N]NaNa".len() * 1000;
        let again = b"ccollections\nOrderedDict\n(h\0tR0".repeat(5000);
        let pickle = [&b"]q\0("[..], &b"]NaNa".repeat(1000), b"e", &again, b"."].concat();
        assert!(pickle.len() > pairs);
        assert!(read(&pickle).unwrap_err().contains("far longer"));
    }

    #[test]
    fn what_breaks_off_or_contradicts_itself_is_refused() {
        for bytes in [
            &b""[..],
            b".",
            b"X\xff\xff\xff\xff",
            b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffx",
            b"(.",
            b"N(0.",
            b"h\0.",
            b"Ns.",
            b"(Nd.",
            b"N)R.",
            b"NN\x93.",
            b"NQ.",
            b"cos\nsystem",
            b"}Nb0.",
            b"\x81.",
        ] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }
}
