"""Ước lượng một lần huấn luyện: phép tính, giờ GPU, ngày, tiền, điện và bộ nhớ.

    python estimate_cost.py --params 1e9 --tokens 20e9 --tflops 300
    python estimate_cost.py --megabytes 50      # 50 MB văn bản thì nuôi được mô hình cỡ nào?

Số viết kiểu nào cũng được: 1.5e9, 1,5e9, "175 tỷ", 7B, 0,4, 40%.
Cần: chỉ Python.
"""

from __future__ import annotations

import argparse
import re
import sys

TOKENS_PER_PARAMETER = 20  # tỉ lệ của Chinchilla (Hoffmann và cộng sự, 2022)
BYTES_PER_PARAMETER = 16  # trọng số, gradient, hai trung bình của AdamW; xem memory_bytes
BYTES_PER_TOKEN = 4.7  # tiếng Việt, tokenizer tiếng Việt: 482 GB thành 102 tỷ token (PhoGPT)
UNITS = {"": 1, "%": 0.01, "k": 1e3, "nghìn": 1e3, "ngàn": 1e3, "m": 1e6, "triệu": 1e6}
UNITS |= {"b": 1e9, "tỷ": 1e9, "tỉ": 1e9, "t": 1e12, "nghìn tỷ": 1e12, "nghìn tỉ": 1e12}


def training_flops(parameters: float, tokens: float) -> float:
    """Số phép tính (FLOP): mỗi tham số, mỗi token, 2 khi tính xuôi và 4 khi tính ngược."""
    return 6 * parameters * tokens


def gpu_hours(flops: float, tflops: float, utilisation: float) -> float:
    """Giờ GPU. `tflops`: TFLOP/s của tờ thông số, ma trận đặc; `utilisation`: phần dùng được."""
    seconds = flops / (tflops * 1e12 * utilisation)
    return seconds / 3600


def days(hours: float, gpus: int) -> float:
    """Số ngày trên đồng hồ khi chia đều cho `gpus` GPU."""
    return hours / gpus / 24


def energy_kwh(hours: float, watts: float) -> float:
    """Điện của riêng các GPU, tính bằng kWh."""
    return hours * watts / 1000


def memory_bytes(parameters: float) -> float:
    """Bộ nhớ ít nhất để huấn luyện bằng AdamW, chưa kể số trung gian (activation).

    float32: trọng số 4, gradient 4, AdamW 8. Hỗn hợp 16 bit: 2 + 2, thêm bản float32 4, AdamW 8.
    """
    return BYTES_PER_PARAMETER * parameters


def tokens_in(megabytes: float, bytes_per_token: float = BYTES_PER_TOKEN) -> float:
    """Ước lượng số token của bấy nhiêu MB văn bản."""
    return megabytes * 1e6 / bytes_per_token


def parameters_for(tokens: float) -> float:
    """Số tham số vừa với bấy nhiêu token, theo tỉ lệ của Chinchilla."""
    return tokens / TOKENS_PER_PARAMETER


def number(text: str) -> float:
    """Đọc một con số dương: 175e9, 1,5e9, 1.234,5, 175 tỷ, 40 %. Không đọc được thì ValueError."""
    match = re.fullmatch(r"([\d.,]+)(e\d+)?\s*(\D*)", text.strip().lower())
    unit = match[3].strip() if match else None
    if unit not in UNITS:
        raise ValueError(text)
    digits = match[1]
    grouped = re.fullmatch(r"[1-9]\d{0,2}(\.\d{3})+(,\d+)?", digits)
    scaled = match[2] or unit  # 1.236B, 1.125e9: một dấu chấm là dấu thập phân
    several = digits.count(".") > 1 or "," in digits
    if grouped and (several or not scaled):
        digits = digits.replace(".", "")  # chấm giữa các nghìn, kiểu Việt
    value = float(digits.replace(",", ".") + (match[2] or "")) * UNITS[unit]
    if not 0 < value < 1e40:
        raise ValueError(text)
    return value


def size(value: float) -> str:
    """Một con số để đọc: 0.532 triệu, 278, 1.2e+20."""
    for least, name in ((1e15, ""), (1e12, "nghìn tỷ"), (1e9, "tỷ"), (1e6, "triệu")):
        if value >= least and name:
            return f"{value / least:.3g} {name}"
    if 1e3 <= value < 1e6:
        return f"{value:.0f}"
    return f"{value:.3g}"


def show(parameters: float, tokens: float, args: argparse.Namespace) -> None:
    """In bản ước lượng, mỗi dòng một con số."""
    flops = training_flops(parameters, tokens)
    hours = gpu_hours(flops, args.tflops, args.utilisation)
    memory = memory_bytes(parameters) / 1e9
    print(f"tham số        {size(parameters)}")
    print(f"token          {size(tokens)}  ({tokens / parameters:.3g} mỗi tham số)")
    print(f"phép tính      {flops:.3g} FLOP")
    print(
        f"giờ GPU        {size(hours)}  ({args.tflops:g} TFLOP/s, dùng được {args.utilisation:.0%})"
    )
    print(f"ngày           {size(days(hours, args.gpus))}  ({args.gpus} GPU)")
    print(f"tiền           {size(hours * args.price)} USD  ({args.price:g} USD một giờ GPU)")
    print(f"điện           {size(energy_kwh(hours, args.watts))} kWh  ({args.watts:g} W)")
    print(f"bộ nhớ GPU     ít nhất {memory:.3g} GB, cộng số trung gian")


def positive(text: str) -> float:
    """Một số của dòng lệnh, hay một dòng nói vì sao không đọc được."""
    try:
        return number(text)
    except ValueError:
        message = f"«{text}» không phải số dương; viết 1.5e9, 1,5e9, 175 tỷ, 0,4 hay 40%"
        raise argparse.ArgumentTypeError(message) from None


class Parser(argparse.ArgumentParser):
    """Báo lỗi bằng một dòng, mã thoát 2."""

    def error(self, message: str) -> None:
        self.exit(2, f"{message}\n")


def main() -> None:
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stderr.reconfigure(encoding="utf-8")
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--params", type=positive, help="số tham số N (mỗi token đi qua)")
    parser.add_argument("--tokens", type=positive, help="số token D; bỏ trống: 20 mỗi tham số")
    parser.add_argument("--megabytes", type=positive, help="cỡ văn bản, MB, thay cho --tokens")
    parser.add_argument("--tflops", type=positive, default=312, help="TFLOP/s của GPU (A100: 312)")
    parser.add_argument(
        "--utilisation", type=positive, default=0.4, help="phần dùng được, mặc định 0.4"
    )
    parser.add_argument("--price", type=positive, default=2, help="USD một giờ GPU, mặc định 2")
    parser.add_argument(
        "--watts", type=positive, default=400, help="công suất một GPU, mặc định 400"
    )
    parser.add_argument("--gpus", type=int, default=1, help="số GPU chạy cùng lúc, mặc định 1")
    args = parser.parse_args()
    if args.utilisation > 1 or args.gpus < 1:
        parser.error("--utilisation không quá 1, --gpus từ 1 trở lên")
    if args.params and args.params < 1000:
        parser.error(f"--params {args.params:g} tham số là quá ít: viết 1,5e9 hay «1,5 tỷ»")
    if args.tokens and args.megabytes:
        parser.error("chỉ một trong hai: --tokens, --megabytes")
    tokens = args.tokens
    if args.megabytes:
        tokens = tokens_in(args.megabytes)
    if not args.params and not tokens:
        parser.error("cần --params, --tokens hay --megabytes")
    parameters = args.params or parameters_for(tokens)
    show(parameters, tokens or TOKENS_PER_PARAMETER * parameters, args)


if __name__ == "__main__":
    main()
