; KISSlicer - FREE
; Windows
; version 1.1.0.14
; Built: May  8 2013, 11:26:16
;
; Saved: Sat Apr 22 20:05:01 2017
; 'cube.gcode'
;
; printer_name = sample printer
; material_name = sample material
; temperature_C = 250
; first_layer_C = 255
; bed_C = 80
; fiber_dia_mm = 3
; style_name = sample style
; layer_thickness_mm = 0.25
; infill_density_denominator = 4
M140 S80
M109 S255
;
; BEGIN_LAYER_OBJECT z=0.50
; 'Perimeter', 1.0 [feed mm/s], 30.0 [head mm/s]
G1 X1 Y1 Z0.5 F900
G1 X10 Y10 F6000
G1 X20 Y10 E0.5
G1 X20 Y20 E1.0
G1 X10 Y20 E1.5
G1 X10 Y10 E2.0
; Post-layer lift
; END_LAYER_OBJECT z=0.50
;
; BEGIN_LAYER_OBJECT z=0.75
; 'Perimeter', 1.0 [feed mm/s], 30.0 [head mm/s]
G1 X1 Y1 Z0.75 F900
G1 X10 Y10 F6000
G1 X20 Y10 E0.5
G1 X20 Y20 E1.0
G1 X10 Y20 E1.5
G1 X10 Y10 E2.0
; Post-layer lift
; END_LAYER_OBJECT z=0.75
;
; Estimated Build Time:   7.01 minutes
; Estimated Build Volume: 0.681 cm^3
; Estimated Build Cost:   $0.05
;
; Total estimated (pre-cool) minutes: 3.97
