G21 ; set units to millimeters
M190 S110 ; wait for bed temperature to be reached
M109 S245 ; wait for temperature to be reached
G1 X100.0 Y1.0 Z0.3 F1500.0 E15 ; draw 1st line
; <IceSL Sep  8 2021 17:53:41>
; bed_temp_degree_c : 	110
; chamber_temp_degree_c : 	0
; extruder_temp_degree_c_0 : 	245
; nozzle_diameter_mm_0 : 	0.4
; use_different_thickness_first_layer : 	False
; z_layer_height_first_layer_mm : 	0.3
; z_layer_height_mm : 	0.12
; <layer>
G1 Z0.12 F9000
G1 X90 Y90 F9000
G1 E0 F2400
G1 X110 Y90 E0.50000 F1800
G1 X110 Y110 E1.00000
G1 X90 Y110 E1.50000
G1 X90 Y90 E2.00000
G1 E-0.8 F2400
; </layer>
; <layer>
G1 Z0.24 F9000
G1 X90 Y90 F9000
G1 E0 F2400
G1 X110 Y90 E0.50000 F1800
G1 X110 Y110 E1.00000
G1 X90 Y110 E1.50000
G1 X90 Y90 E2.00000
G1 E-0.8 F2400
; </layer>
M84        ; disable motors
